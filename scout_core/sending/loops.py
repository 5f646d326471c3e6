"""
The loops of the agent's own threads, which none of our faults may end: nothing else would report what the application records.

Not even ``threading`` sees what is raised here, because its ``excepthook`` may be the application's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

PAUSE: Final = 0.25
"""Seconds between a step that failed and the next one: a fault that repeats must not use up a processor."""


def repeat(step: Callable[[], bool], on_fault: Callable[[], object]) -> None:
    """
    Call a step until it returns False, whatever it raises meanwhile.

    Args:
        step: one round of the loop. It restores its own state at its beginning, because the one before may have failed anywhere.
        on_fault: called while the exception is being handled; what it raises itself is ignored.
    """
    while True:
        try:
            if not step():
                return
        except BaseException:  # noqa: BLE001  # even sys.exit() in a plugin
            with suppress(BaseException):
                on_fault()
            with suppress(BaseException):
                time.sleep(PAUSE)  # looked up each time, because gevent and eventlet replace it


def contained(work: Callable[[], object], on_fault: Callable[[], object]) -> Callable[[], None]:
    """Return the work of a thread as a function that raises nothing; ``on_fault`` as above, it lets another thread take over."""

    def run() -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001  # as above
            with suppress(BaseException):
                on_fault()

    return run
