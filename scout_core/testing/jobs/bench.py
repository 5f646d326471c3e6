"""The part of the jobs suite that a plugin supplies, its queue, and a queue while an agent records it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Final

from scout_core.operations import CONTROLLER, JOB
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction
from scout_core.testing.checks import Rules, expect
from scout_core.testing.jobs import tasks as job_tasks
from scout_core.testing.recorded import RecordedTransaction
from scout_core.testing.scout import Scout, recording

Task = Callable[..., object]
PUBLISHER: Final = f"{CONTROLLER}/shop.order"
PUBLISH: Final = "Shop/Order"


class JobQueue:
    """A queue of a library on which the functions of ``TASKS`` are registered."""

    @abstractmethod
    def publish(self, task: Task, *args: Any, retries: int = 0, delay: float = 0.0) -> None:
        """
        Publish a call of a function.

        Args:
            retries: how often it is tried again, at once, after an exception.
            delay: seconds until it is due; 0: at once.
        """

    @abstractmethod
    def work(self) -> None:
        """Run a worker in this thread until all jobs have been run, also those that are due soon."""

    def run_inline(self, task: Task, *args: Any) -> None:
        """Run a task where it is published, as the library does in an eager or immediate mode."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what it holds; the suite calls this once."""


class Bench:
    """A queue while an agent records it, and everything that was recorded."""

    def __init__(self, scout: Scout, queue: JobQueue, operation: Callable[[Task], str]) -> None:
        self.scout = scout
        self.queue = queue
        self._operation = operation

    def run(self, task: Task, *args: Any, retries: int = 0, delay: float = 0.0) -> list[RecordedTransaction]:
        """Publish a job inside a web request, run it, and return what was recorded of it: a transaction for each attempt."""
        with Transaction(PUBLISHER), Span(PUBLISH):
            self.queue.publish(task, *args, retries=retries, delay=delay)
        self.queue.work()
        return self.jobs(task)

    def jobs(self, task: Task) -> list[RecordedTransaction]:
        """Return the transactions of a task."""
        return [found for found in self.scout.transactions if found.operation == self._operation(task)]

    def only(self, task: Task, *args: Any, **how: Any) -> RecordedTransaction:
        """
        Publish and run a job, and return its transaction.

        Raises:
            AssertionError: it is not the only one, or missing.
        """
        found = self.run(task, *args, **how)
        names = [recorded.operation for recorded in self.scout.transactions]
        expect([1, 1], [len(found), names.count(PUBLISHER)], f"number of jobs and publishers; recorded: {names}")
        return found[0]

    def publisher(self) -> RecordedTransaction:
        """Return the web request that has published the last job."""
        return next(found for found in reversed(self.scout.transactions) if found.operation == PUBLISHER)


class JobBench(Rules):
    """The part of the suite that a plugin replaces."""

    settings: ClassVar[Mapping[str, Any]] = {}  # Any: values of options
    """Options of the agent. ``{"plugins": ["letters"]}`` loads a plugin that is not installed."""
    plugin: ClassVar[str] = ""
    """Module of the plugin."""
    queue_name: ClassVar[str] = "letters"
    """Tag ``queue`` of each job."""
    control_flow: ClassVar[Mapping[str, Callable[[], BaseException]]] = {}
    """Outcome to a function that makes an exception of the library which ends a job in this way."""
    parallel: ClassVar[int] = 50
    """Number of jobs that are published at the same time."""
    workers: ClassVar[int] = 10
    """Threads that run them; 1 for a library whose workers need the main thread."""
    publishes_once: ClassVar[bool] = True
    """False for a library that may send a message again, so that a job runs twice."""

    def make_queue(self, folder: Path) -> JobQueue:
        """Return a queue, without anything of scout-core; each call with the same folder returns one on the same data."""
        raise NotImplementedError("make_queue must return a JobQueue")

    def attach(self, queue: JobQueue) -> None:
        """Attach the agent as users do by hand, if they do; by default the plugin does everything."""

    def operation(self, task: Task) -> str:
        """Return the operation of a task."""
        return f"{JOB}/{task.__module__}.{task.__name__}"

    def worker_command(self, folder: Path) -> list[str]:
        """Return the command of a worker process that runs the jobs of a folder's queue until it gets SIGTERM."""
        raise NotImplementedError("worker_command must return a command")

    def recycled_command(self, folder: Path) -> list[str]:
        """Return the command of a worker whose child processes end after one or two jobs."""
        raise NotImplementedError("recycled_command must return a command")

    @contextmanager
    def queue(self) -> Iterator[JobQueue]:
        """Make a queue in a new folder."""
        for left in (job_tasks.done, job_tasks.attempts, job_tasks.raising, job_tasks.publishing):
            left.clear()
        with TemporaryDirectory() as folder:
            queue = self.make_queue(Path(folder))
            try:
                yield queue
            finally:
                queue.close()

    @contextmanager
    def benched(self, **settings: Any) -> Iterator[Bench]:
        """Make a queue, and record it."""
        with self.queue() as queue, recording(**{**self.settings, **settings}) as scout:
            self.attach(queue)
            yield Bench(scout, queue, self.operation)
