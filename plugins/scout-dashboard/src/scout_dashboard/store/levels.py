"""The resolutions of rollups: per minute, and coarser ones so that long ranges need few rows."""

from __future__ import annotations

from typing import Final

LEVELS: Final = (60, 300, 900, 3_600, 21_600, 86_400)
"""Seconds per slice. Each divides the next, so a page over 24 hours reads 12 rows per name rather than 1,440."""


def slices_of(moment: float) -> list[tuple[int, int]]:
    """Return ``(level, start)`` of every slice that contains this time."""
    return [(level, int(moment // level) * level) for level in LEVELS]


def level_for(step: int) -> int:
    """Return the coarsest level that divides the step."""
    return next(level for level in reversed(LEVELS) if step % level == 0)


def cover(start: int, end: int) -> list[tuple[int, int, int]]:
    """
    Cover a range of whole minutes with the fewest slices.

    Returns:
        ``(level, start, end)`` each for all slices of that level from start to end, in order, without gap or overlap.
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
