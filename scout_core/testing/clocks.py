"""Clocks that stand still until a test moves them, so that it can say how long a span took."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

_READ: Final = ("perf_counter_ns", "time", "monotonic")
"""Functions of ``time`` that scout_core reads; each module has them under these names."""


class Clock:
    """Stands at the moment at which it was made; in whole seconds, where it tells seconds."""

    def __init__(self) -> None:
        self._moved_ns = 0
        self._perf_counter_ns = time.perf_counter_ns()
        # Whole seconds, so that what a test adds up is exact; the next one, since time does not go back.
        self._time, self._monotonic = math.ceil(time.time()), math.ceil(time.monotonic())

    def advance(self, seconds: float) -> None:
        """
        Let time pass, for all clocks.

        Raises:
            ValueError: it would go back.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        self._moved_ns += round(seconds * 1e9)

    def perf_counter_ns(self) -> int:
        """What spans are timed with."""
        return self._perf_counter_ns + self._moved_ns

    def time(self) -> float:
        """Unix time."""
        return self._time + self._moved_ns / 1e9

    def monotonic(self) -> float:
        """What periods and pauses are timed with."""
        return self._monotonic + self._moved_ns / 1e9


@contextmanager
def stopped_clock() -> Iterator[Clock]:
    """
    Replace the clocks that scout_core reads, and those alone: a library still has the real ones.

    For agents without threads, as that of ``recording``: a thread that waits for a moment would wait for ever.
    """
    clock = Clock()
    replaced: list[tuple[ModuleType, str, object]] = []
    for name, module in tuple(sys.modules.items()):
        if name.startswith("scout_core.") and not name.startswith("scout_core.testing"):
            for function in _READ:
                if vars(module).get(function) is getattr(time, function):
                    replaced.append((module, function, vars(module)[function]))
                    setattr(module, function, getattr(clock, function))
    try:
        yield clock
    finally:
        for module, function, real in replaced:
            setattr(module, function, real)
