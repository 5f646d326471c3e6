"""
The cost of the plugin's part of a call: in steps, which are the same on every machine, and in time.

A step is one executed line of Python or one call of a function written in C. What the core does to record does not count: a
plugin cannot do less of them, and how many there are depends on what is recorded. Time reveals what steps do not: waiting, and slow C
functions. It is measured in separate calls, because counting steps is slow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import get_ident
from time import perf_counter_ns, thread_time_ns
from types import FrameType
from typing import Any, Final

STEPS: Final = 180
"""Default limit of a call. A step takes about 0.1 µs, so the plugin adds at most about 20 µs."""
_CORE: Final = "scout_core."
_RECORDING: Final = ("scout_core.recording.", "scout_core.boundary.")
"""Modules that record."""
_TESTING: Final = "scout_core.testing"
LONGEST_NS: Final = 200_000
"""Limit of a call in time of the processor, the core included: the budget of a hook in an application, and ten times the limit in steps."""
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
        if event == "call" and not _counts(frame):
            return None
        if event == "line":
            self.steps += 1
        return self._trace

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and _counts(frame):
            self.steps += 1


def _counts(frame: FrameType) -> bool:
    """Whether steps are the plugin's: also in the core where a plugin calls it to do more than to record, such as to read SQL."""
    caller: FrameType | None = frame
    while caller is not None:
        name = str(caller.f_globals.get("__name__", ""))
        if name.startswith((*_RECORDING, _TESTING)):
            return False
        if not name.startswith(_CORE):
            return True
        caller = caller.f_back
    return True


class Times(Meter):
    """Measures time."""

    def __init__(self) -> None:
        super().__init__()
        self.took_ns = 0
        """Time of the processor, which other processes do not lengthen; where the thread changed, time as on a clock."""
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
        now, used = perf_counter_ns(), thread_time_ns()
        thread, used_before, before = self._resumed
        if get_ident() == thread:
            self.took_ns += used - used_before
            self.waited_ns += max(0, now - before - (used - used_before))
        else:  # times of different threads cannot be compared
            self.took_ns += now - before
        super().pause()

    @property
    def times(self) -> tuple[int, int]:
        """Both."""
        return self.took_ns, self.waited_ns
