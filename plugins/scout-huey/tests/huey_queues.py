"""Queues of Huey for the jobs suite, and the modules that worker processes import."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic, sleep

from huey import MemoryHuey, SqliteHuey
from huey.api import Huey

from scout_core.testing.jobs import TASKS, JobQueue


def registered(huey: Huey) -> Huey:
    """Register the tasks of the suite."""
    for task in TASKS:
        huey.task()(task)
    return huey


class HueyQueue(JobQueue):
    """A queue of Huey."""

    def __init__(self, huey: Huey) -> None:
        self.huey = registered(huey)

    def _make(self, task, args, **options):
        kind = self.huey._registry.string_to_task(f"{task.__module__}.{task.__name__}")
        return kind(args, {}, **options)

    def publish(self, task, *args, retries=0, delay=0.0):
        made = self._make(task, args, retries=retries)
        if delay:
            from huey.utils import normalize_time

            made.eta = normalize_time(None, delay, self.huey.utc)
        self.huey.enqueue(made)

    def work(self):
        huey = self.huey
        until = monotonic() + 30
        while monotonic() < until:
            task = huey.dequeue()
            if task is not None:
                huey.execute(task)
                continue
            for due in huey.read_schedule(huey._get_timestamp()):
                huey.enqueue(due)
            if not huey.pending_count() and not huey.scheduled_count():
                return
            sleep(0.01)

    def run_inline(self, task, *args):
        self.huey.immediate = True
        try:
            self.huey.enqueue(self._make(task, args))
        finally:
            self.huey.immediate = False

    def close(self):
        close = getattr(self.huey.storage, "close", None)
        if close is not None:
            close()


def in_memory(folder: Path) -> Huey:
    return MemoryHuey("letters")


def in_file(folder: Path) -> Huey:
    return SqliteHuey("letters", filename=str(folder / "huey.db"))


if "SCOUT_JOBS_FOLDER" in os.environ:  # in a worker process
    huey = registered(in_file(Path(os.environ["SCOUT_JOBS_FOLDER"])))
