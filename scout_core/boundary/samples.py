"""How long the last sampled calls of a function took. A few numbers, never the calls themselves."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Final

LAST: Final = 100
"""Samples that are kept of one function."""
ENOUGH: Final = 20
"""With fewer, one call that imported something or waited for a processor would be the 95th percentile."""


class Samples:
    """Durations of one function's calls. Added to on any thread, read on the agent's."""

    __slots__ = ("count", "total_ns", "_last")

    def __init__(self) -> None:
        self.count = 0
        """All that were ever taken."""
        self.total_ns = 0
        self._last: deque[int] = deque(maxlen=LAST)

    def add(self, duration_ns: int) -> None:
        """Note one call."""
        self.count += 1
        self.total_ns += duration_ns
        self._last.append(duration_ns)

    def quantile(self, share: float) -> float | None:
        """Seconds that this share, above 0 and up to 1, of the last calls did not exceed; None before the first."""
        ordered = sorted(self._last.copy())  # the copy is one step for other threads, sorting is not
        return ordered[ceil(share * len(ordered)) - 1] / 1e9 if ordered else None
