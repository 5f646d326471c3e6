"""Worker processes for the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from celery_queues import COMMAND, SPAWN_CHILDREN, close, make_app
from celery_tasks import lines

from scout_core.cli.run import environment

FULL = os.environ.get("TEST_SIZE") == "full"
LONGEST = 1_200.0 if FULL else 180.0  # a solo worker takes 0.3 s for each message of RabbitMQ
SPAWN = "spawn"
"""The pool prefork, whose children are new interpreters."""


def variables(folder: Path, *, period: str) -> dict[str, str]:
    """Return the environment of a process that notes its jobs in a folder."""
    return {
        **environment(os.environ),
        "SCOUT_JOBS_FOLDER": str(folder),
        "SCOUT_PLUGINS": "celery_tasks,scout_core.testing.jobs.reports",
        "SCOUT_PLUGINS_DISABLE": "collector",
        "SCOUT_REPORT_PERIOD": period,
    }


class Worker:
    """A worker process, and an application that publishes to it."""

    def __init__(self, folder: Path, pool: str, *options: str, period: str) -> None:
        self.folder = folder
        self.app = make_app(folder.name)
        self.app.control.purge()  # RabbitMQ, and an old kombu, have no prefixes: another test has left tasks in the same queue
        command = [*COMMAND, "-P", "prefork" if pool == SPAWN else pool]
        self.process = subprocess.Popen(
            [*command, *options],
            env={**variables(folder, period=period), **({SPAWN_CHILDREN: "1"} if pool == SPAWN else {})},
            start_new_session=True,
        )

    def publish(self, name: str, *args: object, **options: object) -> str:
        """Return the id only: a result that is freed later needs the connection that is closed by then."""
        task_id: str = self.app.tasks[f"shop.{name}"].apply_async(args, **options).id
        return task_id

    def outcomes(self) -> Counter[tuple[object, object]]:
        return Counter((line["name"], line["outcome"]) for line in lines(self.folder))

    def added(self) -> set[object]:
        """Return the numbers of the jobs `add` that are recorded."""
        return {line["number"] for line in lines(self.folder) if line["name"] == "add"}

    def wait_for(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + LONGEST
        while not condition() and time.monotonic() < until:
            assert self.process.poll() is None, "the worker has ended"
            time.sleep(0.05)
        assert condition(), self.outcomes()

    def end(self) -> float:
        """Ask it to end; return the seconds that it takes."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert 0 == self.process.wait(60)
        return time.monotonic() - began


@contextmanager
def working(folder: Path, pool: str, *options: str, period: str = "1h") -> Iterator[Worker]:
    worker = Worker(folder, pool, *options, period=period)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait(60)
        worker.app.control.purge()
        close(worker.app)
