"""Faults of our own on the agent's threads: contained, and logged once for each kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from scout_core.log import Log, LogOnce
from scout_core.tracebacks import frames_of

log = Log("scout_core")

FRAMES: Final = 3
"""Innermost frames by which two exceptions of a class are the same kind."""


class Faults:
    """
    Handles the exceptions of our own code in one process.

    Args:
        is_raised: whether ``contain`` raises them again: in tests that run no thread.
    """

    def __init__(self, is_raised: Callable[[], bool]) -> None:
        self._is_raised = is_raised
        self._logged = LogOnce(log)

    def contain(self, message: str) -> None:
        """Log the exception that is being handled; raise it again in tests that run no thread."""
        if self._is_raised():
            raise  # called while it is handled
        self.log(message)

    def log(self, message: str) -> None:
        """Log the exception that is being handled, once for each message and place: the next thousand would be the same."""
        error = sys.exc_info()[1]
        place = frames_of(error.__traceback__ if error else None)[-FRAMES:]
        self._logged.error((message, type(error), *place), message)

    def safely(self, step: Callable[[], object]) -> None:
        """Take a step of the agent's threads, and contain whatever it raises."""
        try:
            step()
        except BaseException:  # noqa: BLE001  # even sys.exit() in a plugin: without these threads nothing is recorded
            self.contain("internal error in the agent's thread; it continues")
