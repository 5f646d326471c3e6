"""Whether one set of durations is clearly longer than another, from their histograms."""

from __future__ import annotations

from math import sqrt
from typing import Final

from scout_core.measuring.histogram import Histogram

CLEAR: Final = 3.3
"""The z from which two sets differ clearly: by chance it is reached once in two thousand times."""


def rank_z(then: Histogram, now: Histogram) -> float:
    """
    Return the z of the rank test of Mann, Whitney and Wilcoxon, with the correction for ties.

    Returns:
        Positive when the second is longer; 0.0 when one is empty, or all values are equal.
    """
    before, after = then.count, now.count
    both = before + after
    below = ties = 0
    wins = 0.0
    for bucket in sorted({*then.buckets, *now.buckets}):
        old, new = then.buckets.get(bucket, 0), now.buckets.get(bucket, 0)
        wins += new * (below + old / 2)
        below += old
        ties += (old + new) ** 3 - (old + new)
    spread = before * after / 12 * (both + 1 - ties / (both * (both - 1))) if before and after else 0.0
    return (wins - before * after / 2) / sqrt(spread) if spread > 0 else 0.0
