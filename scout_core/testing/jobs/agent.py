"""Rules of the jobs suite for the agent itself: ignored jobs, a plugin that fails, a double installation, stopping, and processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from time import monotonic
from unittest.mock import patch

from scout_core.cli.run import environment
from scout_core.operations import JOB, kind_of
from scout_core.testing.checks import expect
from scout_core.testing.jobs import reports as job_reports
from scout_core.testing.jobs import tasks as job_tasks
from scout_core.testing.jobs.bench import JobBench, JobQueue
from scout_core.testing.scout import recording

_LONGEST = 60.0
_never = Event()


class AgentRules(JobBench):
    """The tests."""

    def test_ignored(self) -> None:
        """A job is run, and in no figure, if its task or an option ignores it."""
        with self.benched() as bench:
            expect([], bench.run(job_tasks.be_ignored), "a job that its task ignores")
            expect([0], job_tasks.done, "jobs that were run")
        name = self.operation(job_tasks.work).partition("/")[2]
        with self.benched(ignore_jobs=[name]) as bench:
            expect([], bench.run(job_tasks.work, 1), "a job that ignore_jobs ignores")
            expect([1], job_tasks.done, "jobs that were run")

    def test_describer_fails(self) -> None:
        """A fault in describing a job costs its transaction, and nothing else."""
        describe = "scout_core.instruments.jobs.describe.JobTransaction"
        with (
            self.benched(plugins_reraise=False) as bench,
            patch(describe, side_effect=RuntimeError("describer")) as failed,
        ):
            expect([], bench.run(job_tasks.work, 1), "jobs that were recorded")
            bench.run(job_tasks.fail_once, retries=1)
            expect(([1], 2), (job_tasks.done, len(job_tasks.attempts)), "jobs that were run, and attempts")
            if not failed.called:
                raise AssertionError("the plugin does not use scout_core.instruments.jobs.job: skip this test")

    def test_installed_twice(self) -> None:
        """A job is recorded once, also if the plugin is named where it is installed, or attached again."""
        named = [*self.settings.get("plugins", ()), self.plugin]
        with self.benched(plugins=named) as bench:
            self.attach(bench.queue)
            job = bench.only(job_tasks.work, 1)
            expect(
                [], [span.operation for span in job.spans if span.operation == job.operation], "the job inside itself"
            )

    def test_stopped(self) -> None:
        """After the agent has stopped, the library works as before; it is recorded again after the next start."""
        with self.queue() as queue:
            for number in range(3):
                with recording(**self.settings) as scout:
                    self.attach(queue)
                    queue.publish(job_tasks.work, number)
                    queue.work()
                    expect([self.operation(job_tasks.work)], self._jobs(scout.operations), "jobs while the agent runs")
                queue.publish(job_tasks.work, number + 10)
                queue.work()
            expect([0, 10, 1, 11, 2, 12], job_tasks.done, "jobs that were run")

    def test_one_side(self) -> None:
        """Messages are read with and without the agent, also those of the other side."""
        with self.queue() as queue:
            with recording(**self.settings):
                self.attach(queue)
                queue.publish(job_tasks.work, 1)
            queue.work()
            queue.publish(job_tasks.work, 2)
            with recording(**self.settings) as scout:
                self.attach(queue)
                queue.work()
                expect([self.operation(job_tasks.work)], self._jobs(scout.operations), "jobs while the agent runs")
            expect([1, 2], job_tasks.done, "jobs that were run")

    def _jobs(self, operations: list[str]) -> list[str]:
        return [operation for operation in operations if kind_of(operation) == JOB]

    def test_recycled(self) -> None:
        """A child that ends after one or two jobs sends them before it ends."""
        with self._processes(self.recycled_command, period="1h") as (queue, folder, _):
            for number in range(6):
                queue.publish(job_tasks.work, number)
            name = self.operation(job_tasks.work)
            _wait(lambda: job_reports.reported(folder)[name] >= 5)
            found = job_reports.reported(folder)[name]
            if not 5 <= found <= 6:  # the last child may not have reached its limit
                raise AssertionError(f"{found} of 6 jobs were reported by children that ended")

    def test_killed(self) -> None:
        """A worker that is killed loses what was in flight, and nothing is counted twice by the next one."""
        name = self.operation(job_tasks.work)
        with self._processes(self.worker_command, period="0.5s") as (queue, folder, start):
            for number in range(5):
                queue.publish(job_tasks.work, number)
            _wait(lambda: job_reports.reported(folder)[name] >= 5)
            queue.publish(job_tasks.hang)
            _wait(lambda: (folder / job_tasks.BEGAN).exists())
            start()
            for number in range(3):
                queue.publish(job_tasks.work, number)
            _wait(lambda: job_reports.reported(folder)[name] >= 8)
        if self.publishes_once:
            expect(8, self._runs, "jobs that have run")
        expect(self._runs, self._last[name], "jobs that were reported, of those that have run")

    _last: Counter[str] = Counter()
    _runs = 0

    @contextmanager
    def _processes(
        self, command: Callable[[Path], list[str]], *, period: str
    ) -> Iterator[tuple[JobQueue, Path, Callable[[], None]]]:
        """Run a worker process; the function kills it, and starts another one. At the end it is asked to end."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            queue = self.make_queue(folder)
            running: list[subprocess.Popen[bytes]] = []
            variables = {
                **environment(os.environ),
                job_tasks.FOLDER: name,
                "SCOUT_PLUGINS": ",".join(["scout_core.testing.jobs.reports", *self.settings.get("plugins", ())]),
                "SCOUT_PLUGINS_DISABLE": "collector",
                "SCOUT_NAME": "Shop",
                "SCOUT_REPORT_PERIOD": period,
            }

            def start() -> None:
                for process in running:
                    _end(process, signal.SIGKILL)
                running[:] = [subprocess.Popen(command(folder), env=variables, start_new_session=True)]  # noqa: S603  # the author's

            try:
                start()
                yield queue, folder, start
            finally:
                for process in running:
                    _end(process, signal.SIGTERM)
                self._last = job_reports.reported(folder)
                runs = folder / job_tasks.RUNS
                self._runs = len(runs.read_text(encoding="utf-8").splitlines()) if runs.exists() else 0
                queue.close()


def _end(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the whole group of a worker: its children may be in one of their own only if it has made that."""
    if number == signal.SIGKILL:
        os.killpg(process.pid, number)
    elif process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(_LONGEST)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_LONGEST)


def _wait(condition: Callable[[], object]) -> None:
    until = monotonic() + _LONGEST
    while not condition() and monotonic() < until:
        _never.wait(0.05)
    if not condition():
        raise AssertionError("the worker process has not done it in time")
