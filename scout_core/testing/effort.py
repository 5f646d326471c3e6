"""
What the plugin's part of a call costs, counted rather than timed, so that it is the same on every machine.

A step is one line of Python that runs or one function written in C that is called. The time that it took is kept beside it,
for what steps do not show: waiting, or a C function that works for long.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from types import FrameType
from typing import Any, Final

STEPS: Final = 200
"""What a call may cost unless its author says otherwise. Some 0.1 µs each, so it stays below 25 µs."""
LONGEST_NS: Final = 1_000_000
"""What no call may cost in its fastest of several rounds: forty times as long as it should, so that no busy machine matters."""


class Meter:
    """Counts between ``resume`` and ``pause``, on one thread."""

    def __init__(self) -> None:
        self.steps = 0
        self.nanoseconds = 0
        self._resumed_ns = 0
        self._before: tuple[Any, Any] = (None, None)  # Any: of coverage, a debugger or nobody

    def resume(self) -> None:
        """The plugin's part begins."""
        self._before = (sys.gettrace(), sys.getprofile())
        sys.settrace(self._trace)
        self._resumed_ns = perf_counter_ns()
        sys.setprofile(self._profile)

    def pause(self) -> None:
        """The library's part begins, or the call is over."""
        sys.setprofile(self._before[1])
        self.nanoseconds += perf_counter_ns() - self._resumed_ns
        sys.settrace(self._before[0])

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:  # Any: itself
        if frame.f_globals.get("__name__", "").startswith("scout_core.testing"):
            return None
        if event == "line":
            self.steps += 1
        return self._trace

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and not frame.f_globals.get("__name__", "").startswith("scout_core.testing"):
            self.steps += 1
