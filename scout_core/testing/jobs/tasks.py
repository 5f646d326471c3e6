"""The tasks that the jobs suite publishes: functions that a library can find by their name, and what they have done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Final

from scout_core.recording.context import current_transaction
from scout_core.recording.span import Span

FOLDER: Final = "SCOUT_JOBS_FOLDER"
"""Environment variable: the folder in which a worker's process leaves its marks."""
BEGAN: Final = "began"
RUNS: Final = "runs"
_LONGEST: Final = 60.0
_never: Final = Event()

done: list[int] = []
"""Numbers of ``work`` that were called in this process."""
attempts: list[int] = []
raising: list[Callable[[], BaseException]] = []
"""Makes the exception that ``end_early`` raises."""
publishing: list[Callable[[], None]] = []
"""Publishes a job from within one."""


class TaskError(Exception):
    """The application's own error."""


def work(number: int) -> int:
    """Do something that is a span, and note it in the folder, where there is one: a broker may deliver a message again."""
    if folder := os.environ.get(FOLDER):
        with Path(folder, RUNS).open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
    with Span("Letter/Write", number=number):
        done.append(number)
    return number


def fail() -> None:
    """Fail at each attempt."""
    raise TaskError("no stamp")


def fail_once() -> None:
    """Fail at the first attempt."""
    attempts.append(1)
    if len(attempts) == 1:
        raise TaskError("no stamp yet")


def end_early() -> None:
    """Raise an exception of the library."""
    attempts.append(1)
    if len(attempts) == 1:
        raise raising[0]()


def publish() -> None:
    """Publish another job."""
    publishing[0]()


def be_ignored() -> None:
    """Be in no figure."""
    done.append(0)
    transaction = current_transaction()
    if transaction is not None:
        transaction.ignore("not interesting")


def hang() -> None:
    """Never end, the first time that it is run at all."""
    mark = Path(os.environ[FOLDER]) / BEGAN
    if not mark.exists():
        mark.touch()
        _never.wait(_LONGEST)


TASKS: Final = (work, fail, fail_once, end_early, publish, be_ignored, hang)
