"""Durations counted in buckets that grow by 2 %: mergeable, with a relative error of at most 1 %.

The mapping is that of DDSketch (Masson, Rim, Lee: VLDB 2019). The published library cannot compute the rank of a value,
which the percentile policy needs, and has no plain wire form, hence these few lines; tests compare them with exact
quantiles.
"""

from __future__ import annotations

from itertools import repeat
from math import ceil, log
from typing import Final

from scout_core.measuring.read_only import ReadOnlyDict

RELATIVE_ERROR: Final = 0.01
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
PER_LOG: Final = 1 / log(_GROWTH)
SHORTEST: Final = 1e-7
"""Seconds. Shorter durations count as this long, so there are fewer than 1,400 buckets up to a day."""
FIRST: Final = ceil(log(SHORTEST) * PER_LOG)
"""The bucket of the shortest durations."""


def bucket_of(seconds: float) -> int:
    """Return the number of the bucket that a duration falls into."""
    return ceil(log(seconds if seconds > SHORTEST else SHORTEST) * PER_LOG)


def value_of(bucket: int) -> float:
    """Return the seconds that represent every value of a bucket: within 1 % of each."""
    return float(2 * _GROWTH**bucket / (1 + _GROWTH))


class Histogram:
    """How many values fell into each bucket; ``buckets`` maps a bucket's number to its count."""

    __slots__ = ("buckets", "count")

    def __init__(self, buckets: dict[int, int] | None = None) -> None:
        self.buckets: dict[int, int] = buckets if buckets is not None else {}
        self.count: int = sum(self.buckets.values())

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.add_to(bucket_of(seconds))

    def add_to(self, bucket: int) -> None:
        """Count one value of a bucket."""
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1

    def merge(self, other: Histogram) -> None:
        """Add all counts of the other one; the result is the same as if every value had been added here."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.count += other.count

    def quantile(self, q: float) -> float | None:
        """
        The smallest value that at least a share ``q`` of all values does not exceed: the nearest rank, not interpolated.

        Args:
            q: 0 to 1.

        Returns:
            Seconds, at most 1 % off. None while nothing was added.
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
        own = bucket_of(seconds)
        return sum(count for bucket, count in list(self.buckets.items()) if bucket < own) / self.count

    def share_at_most(self, seconds: float) -> float:
        """The share of all values, 0 to 1, in this value's bucket or a lower one; 1.0 while nothing was added."""
        if not self.count:
            return 1.0
        own = bucket_of(seconds)
        return sum(count for bucket, count in list(self.buckets.items()) if bucket <= own) / self.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.buckets == other.buckets

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, p50={self.quantile(0.5)}, p95={self.quantile(0.95)})"


class FrozenHistogram(Histogram):
    """The same, as reports have it: it cannot be changed; ``Histogram(dict(it.buckets))`` is a copy that can."""

    __slots__ = ()

    def __init__(self, buckets: dict[int, int]) -> None:
        object.__setattr__(self, "buckets", ReadOnlyDict(buckets))
        object.__setattr__(self, "count", sum(buckets.values()))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("the histogram of a report cannot be changed; change a copy: Histogram(dict(it.buckets))")

    __delattr__ = __setattr__  # type: ignore[assignment]  # it raises whatever it is called with

    def __reduce__(self) -> tuple[type, tuple[dict[int, int]]]:
        return type(self), (dict(self.buckets),)


def frozen_histogram(histogram: Histogram) -> Histogram:
    """Return a copy that cannot be changed."""
    return histogram if type(histogram) is FrozenHistogram else FrozenHistogram(histogram.buckets)


class RankedHistogram(Histogram):
    """
    The same, on one thread, with the rank of each value as it is added.

    Durations of one name are near each other, so the values below are counted from where the last one was, not from zero.
    """

    __slots__ = ("_bucket", "_below")

    def __init__(self) -> None:
        super().__init__()
        self._bucket = 0
        self._below = 0
        """Values in lower buckets than ``_bucket``."""

    def add_ranked(self, bucket: int) -> float:
        """Count one value of the bucket, and return the share, 0 to 1, of all values that are in lower ones."""
        buckets = self.buckets
        if bucket != self._bucket:
            low, high = (self._bucket, bucket) if bucket > self._bucket else (bucket, self._bucket)
            if high - low < len(buckets):
                between = sum(map(buckets.get, range(low, high), repeat(0)))
            else:
                between = sum(count for number, count in buckets.items() if low <= number < high)
            self._below += between if bucket > self._bucket else -between
            self._bucket = bucket
        buckets[bucket] = buckets.get(bucket, 0) + 1
        self.count += 1
        return self._below / self.count

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.add_ranked(bucket_of(seconds))

    def merge(self, other: Histogram) -> None:
        """Add all counts of the other one."""
        super().merge(other)
        self._below = sum(count for number, count in self.buckets.items() if number < self._bucket)
