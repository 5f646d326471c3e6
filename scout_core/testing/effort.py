"""
What the plugin's part of a call takes: steps, which are the same on every machine, and time.

A step is one line of Python that runs or one function written in C that is called. Time shows what steps do not: waiting, or a C
function that works for long. It is taken in calls of its own, since counting takes longer than what is counted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import get_ident
from time import perf_counter_ns, thread_time_ns
from types import FrameType
from typing import Any, Final

STEPS: Final = 200
"""What a call may cost unless its author says otherwise. Some 0.1 µs each, so it stays below 25 µs."""
LONGEST_NS: Final = 200_000
"""What no call may take: the budget of a hook in an application, and eight times what its steps may take."""
LONGEST_WAIT_NS: Final = 20_000
"""
For so long no call may do nothing. On Linux the shortest ``time.sleep`` is of 50 µs, and an uncontended lock waits not at all.
"""


class Meter:
    """Runs between ``resume`` and ``pause``, on one thread; coverage and debuggers rest meanwhile."""

    def __init__(self) -> None:
        self._before: tuple[Any, Any] = (None, None)  # Any: of coverage, a debugger or nobody

    def resume(self, objects: Sequence[object]) -> None:
        """
        The plugin's part begins.

        Args:
            objects: what it is given: the arguments, and the result once there is one.
        """
        self._before = (sys.gettrace(), sys.getprofile())

    def pause(self) -> None:
        """The library's part begins, or the call is over."""
        sys.setprofile(self._before[1])
        sys.settrace(self._before[0])


class Steps(Meter):
    """Counts."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def resume(self, objects: Sequence[object]) -> None:
        """Watch every line."""
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
    """Takes the time."""

    def __init__(self) -> None:
        super().__init__()
        self.took_ns = 0
        self.waited_ns = 0
        """The part of it in which this thread did not work: it waited, or the machine was busy with something else."""
        self._resumed = (0, 0, 0)

    def resume(self, objects: Sequence[object]) -> None:
        """Look at the clocks."""
        super().resume(objects)
        sys.settrace(None)
        sys.setprofile(None)
        self._resumed = (get_ident(), thread_time_ns(), perf_counter_ns())

    def pause(self) -> None:
        """Look once more."""
        took, thread = perf_counter_ns() - self._resumed[2], self._resumed[0]
        self.took_ns += took
        if get_ident() == thread:  # the time of another thread says nothing
            self.waited_ns += max(0, took - (thread_time_ns() - self._resumed[1]))
        super().pause()
