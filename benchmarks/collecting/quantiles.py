"""Quantiles of a few measured values."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, nan


def quantile(values: Sequence[float], q: float) -> float:
    """Return the nearest rank; not a number without values."""
    ordered = sorted(values)
    return ordered[max(0, ceil(q * len(ordered)) - 1)] if ordered else nan
