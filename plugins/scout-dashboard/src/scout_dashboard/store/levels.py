"""How fine the sums are kept: per minute, and coarser so that long stretches need few rows."""

from __future__ import annotations

from typing import Final

LEVELS: Final = (60, 300, 900, 3_600, 21_600, 86_400)
"""Seconds of a slice. Each divides the next, so a page over 24 hours reads 12 rows of a name rather than 1,440."""


def slices_of(moment: float) -> list[tuple[int, int]]:
    """``(level, start)`` of every slice that the moment lies in."""
    return [(level, int(moment // level) * level) for level in LEVELS]


def level_for(step: int) -> int:
    """The coarsest level that the step is made of."""
    return next(level for level in reversed(LEVELS) if step % level == 0)


def cover(start: int, end: int) -> list[tuple[int, int, int]]:
    """
    The fewest slices that make up a stretch of whole minutes.

    Returns:
        ``(level, start, end)``: all slices of that level from start to end, in order of time, without gap or overlap.
    """
    return _cover(start, end, len(LEVELS) - 1)


def _cover(start: int, end: int, index: int) -> list[tuple[int, int, int]]:
    if start >= end:
        return []
    level = LEVELS[index]
    first, last = -(-start // level) * level, end // level * level
    if first >= last:
        return _cover(start, end, index - 1) if index else []
    return [*_cover(start, first, index - 1), (level, first, last), *_cover(last, end, index - 1)]
