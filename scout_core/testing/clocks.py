"""Clocks that a test stops and advances, so that durations are exact."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

from scout_core import clocks

_READ: Final = ("perf_counter_ns", "time", "monotonic")
"""The clock functions that scout_core uses; each module imports them under these names."""


class Clock:
    """Starts at the moment of its creation, rounded up to whole seconds for clocks in seconds."""

    def __init__(self) -> None:
        self._moved_ns = 0
        self._perf_counter_ns = clocks.perf_counter_ns()
        # Whole seconds keep sums in tests exact; rounded up, because time must not go back.
        self._time, self._monotonic = math.ceil(clocks.time()), math.ceil(clocks.monotonic())

    def advance(self, seconds: float) -> None:
        """
        Advance all clocks.

        Raises:
            ValueError: the number of seconds is negative.
        """
        if seconds < 0:
            raise ValueError(f"cannot advance by {seconds} s; expected 0 or more")
        self._moved_ns += round(seconds * 1e9)

    def perf_counter_ns(self) -> int:
        """Clock of spans."""
        return self._perf_counter_ns + self._moved_ns

    def time(self) -> float:
        """Unix time."""
        return self._time + self._moved_ns / 1e9

    def monotonic(self) -> float:
        """Clock of periods and pauses."""
        return self._monotonic + self._moved_ns / 1e9


@contextmanager
def stopped_clock() -> Iterator[Clock]:
    """
    Replace the clocks that scout_core reads, and those that a plugin has imported from ``scout_core.clocks``; libraries keep the real ones.

    For agents without threads, such as that of ``recording``: a waiting thread would wait forever.
    """
    clock = Clock()
    own = {function: getattr(clocks, function) for function in _READ}
    others = {function: getattr(time, function) for function in _READ}
    replaced: list[tuple[ModuleType, str, object]] = []
    for module, function, found in _functions_read():
        if found is own[function] or (found is others[function] and _is_ours(module)):
            replaced.append((module, function, found))
            setattr(module, function, getattr(clock, function))
    try:
        yield clock
    finally:
        for module, function, original in replaced:
            setattr(module, function, original)
        for module, function, found in _functions_read():
            if getattr(found, "__self__", None) is clock:  # it was imported meanwhile
                setattr(module, function, own[function])


def _functions_read() -> Iterator[tuple[ModuleType, str, object]]:
    """Yield each module that has something under the name of a clock, the name, and what it has."""
    for module in tuple(sys.modules.values()):
        if issubclass(type(module), ModuleType):
            names = vars(module)
            yield from ((module, function, names[function]) for function in _READ if function in names)


def _is_ours(module: ModuleType) -> bool:
    name = str(vars(module).get("__name__"))
    return name.startswith("scout_core.") and not name.startswith("scout_core.testing")
