"""Jobs of a shop, which run in the horses of worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from rq.job import get_current_job

from scout_core import span

FOLDER = "SCOUT_JOBS_FOLDER"
RUNS = "runs"


class Sender:
    """A class whose methods are jobs."""

    def send(self) -> None:
        pass

    @classmethod
    def send_all(cls) -> None:
        pass


def note(job: str) -> None:
    """Note that a job runs, where a test wants it."""
    if FOLDER in os.environ:
        with Path(os.environ[FOLDER], RUNS).open("a", encoding="utf-8") as file:
            file.write(f"{job}\n")


def send(number: int) -> int:
    note(f"send {number}")
    with span("Letter/Write", number=number):
        return number


def fail() -> None:
    raise ValueError("no stamp")


def wait(seconds: float) -> None:
    time.sleep(seconds)


def die() -> None:
    note("die")
    os.kill(os.getpid(), signal.SIGKILL)


def again() -> object:
    """Return a ``Retry`` each time."""
    import rq

    return rq.Retry(max=2)


def attempt() -> int:
    return get_current_job().number_of_retries or 0


def thank(job, connection, result, *args, **kwargs) -> None:
    with span("Letter/Thank"):
        pass


def refuse(job, connection, result, *args, **kwargs) -> None:
    raise ValueError("no thanks")


class Unreadable:
    """Its pickle cannot be read."""

    def __reduce__(self):
        return int, ("no number",)
