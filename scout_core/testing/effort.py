"""
The cost of the plugin's part of a call: in steps, which are the same on every machine, and in time.

A step is one executed line of Python or one call of a function written in C. Time reveals what steps do not: waiting, and slow C
functions. It is measured in separate calls, because counting steps is slow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import get_ident
from time import perf_counter_ns, thread_time_ns
from types import FrameType
from typing import Any, Final

STEPS: Final = 240
"""Default limit of a call. A step takes about 0.1 µs, so a call stays at about 25 µs."""
LONGEST_NS: Final = 200_000
"""Limit of a call in time: the budget of a hook in an application, and eight times the limit in steps."""
LONGEST_WAIT_NS: Final = 20_000
"""
Limit of waiting in a call. On Linux the shortest ``time.sleep`` takes 50 µs, and an uncontended lock does not wait.
"""


class Meter:
    """Measures between ``resume`` and ``pause``, on one thread; coverage and debuggers are suspended meanwhile."""

    def __init__(self) -> None:
        self._before: tuple[Any, Any] = (None, None)  # Any: trace functions of coverage or a debugger, or None

    def resume(self, objects: Sequence[object]) -> None:
        """
        Start of the plugin's part.

        Args:
            objects: the arguments of the call, and its result once there is one.
        """
        self._before = (sys.gettrace(), sys.getprofile())

    def pause(self) -> None:
        """Start of the library's part, or end of the call."""
        sys.setprofile(self._before[1])
        sys.settrace(self._before[0])


class Steps(Meter):
    """Counts steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def resume(self, objects: Sequence[object]) -> None:
        """Count from now on."""
        super().resume(objects)
        sys.settrace(self._trace)
        sys.setprofile(self._profile)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:  # Any: itself
        if frame.f_globals.get("__name__", "").startswith("scout_core.testing"):
            return None
        if event == "line":
            self.steps += 1
        return self._trace

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and not frame.f_globals.get("__name__", "").startswith("scout_core.testing"):
            self.steps += 1


class Times(Meter):
    """Measures time."""

    def __init__(self) -> None:
        super().__init__()
        self.took_ns = 0
        self.waited_ns = 0
        """The part in which this thread did not run: it waited, or the machine was busy."""
        self._resumed = (0, 0, 0)

    def resume(self, objects: Sequence[object]) -> None:
        """Read the clocks."""
        super().resume(objects)
        sys.settrace(None)
        sys.setprofile(None)
        self._resumed = (get_ident(), thread_time_ns(), perf_counter_ns())

    def pause(self) -> None:
        """Read the clocks again."""
        took, thread = perf_counter_ns() - self._resumed[2], self._resumed[0]
        self.took_ns += took
        if get_ident() == thread:  # times of different threads cannot be compared
            self.waited_ns += max(0, took - (thread_time_ns() - self._resumed[1]))
        super().pause()
