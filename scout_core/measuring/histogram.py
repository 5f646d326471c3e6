"""Durations counted in buckets that grow by two per cent: mergeable, with at most one per cent relative error.

The mapping is that of DDSketch (Masson, Rim, Lee: VLDB 2019). The published library does not tell the rank of a value,
which the percentile policy needs, and has no plain wire form, so these few lines stand here; tests compare them
with exact quantiles.
"""

from __future__ import annotations

from math import ceil, log
from typing import Final

RELATIVE_ERROR: Final = 0.01
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_PER_LOG: Final = 1 / log(_GROWTH)
_SMALLEST: Final = 1e-7
"""Seconds. Whatever is shorter counts as this long, so there are fewer than 1,400 buckets up to a day."""


class Histogram:
    """How many values fell into each bucket; ``buckets`` maps a bucket's number to its count."""

    __slots__ = ("buckets", "count")

    def __init__(self, buckets: dict[int, int] | None = None) -> None:
        self.buckets: dict[int, int] = buckets if buckets is not None else {}
        self.count: int = sum(self.buckets.values())

    def add(self, seconds: float) -> None:
        """Count one duration."""
        bucket = ceil(log(seconds if seconds > _SMALLEST else _SMALLEST) * _PER_LOG)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1

    def merge(self, other: Histogram) -> None:
        """Add all counts of the other one; the result is as if every value had been added here."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.count += other.count

    def quantile(self, q: float) -> float | None:
        """
        The smallest value that at least a share ``q`` of all values does not exceed: the nearest rank, not interpolated.

        Args:
            q: 0 to 1.

        Returns:
            Seconds, at most one per cent off. None while nothing was added.
        """
        if not self.count:
            return None
        rank = max(1, ceil(q * self.count - 1e-9))  # the nearest rank; 0.07 * 100 is a little more than 7
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return value_of(bucket)
        return value_of(max(self.buckets))

    def rank(self, seconds: float) -> float:
        """The share of all values, 0 to 1, that lie in a lower bucket than this one; 0.0 while nothing was added."""
        if not self.count:
            return 0.0
        own = ceil(log(max(seconds, _SMALLEST)) * _PER_LOG)
        # Once for each transaction: a loop inside C takes a quarter of a generator's time.
        return sum(map(self.buckets.__getitem__, filter(own.__gt__, list(self.buckets)))) / self.count

    def share_at_most(self, seconds: float) -> float:
        """The share of all values, 0 to 1, in this value's bucket or a lower one; 1.0 while nothing was added."""
        if not self.count:
            return 1.0
        own = ceil(log(max(seconds, _SMALLEST)) * _PER_LOG)
        return sum(count for bucket, count in list(self.buckets.items()) if bucket <= own) / self.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.buckets == other.buckets

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, p50={self.quantile(0.5)}, p95={self.quantile(0.95)})"


def value_of(bucket: int) -> float:
    """Seconds that stand for every value of a bucket: within one per cent of each."""
    return float(2 * _GROWTH**bucket / (1 + _GROWTH))
