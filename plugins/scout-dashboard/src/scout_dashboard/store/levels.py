"""The resolutions of rollups: per minute, and coarser ones so that long ranges need few rows."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

LEVELS: Final = (60, 300, 900, 3_600, 21_600, 86_400)
"""Seconds per slice. Each divides the next, so a page over 24 hours reads 12 rows per name rather than 1,440."""
MINUTE: Final = LEVELS[0]
FOLD: Final = LEVELS[1]
"""Minutes are folded into coarser slices when this many seconds of them are complete."""

Piece = tuple[int, int, int]
"""``(level, start, end)``: all slices of that level from start to end (exclusive)."""


def level_for(step: int) -> int:
    """Return the coarsest level that divides the step."""
    return next(level for level in reversed(LEVELS) if step % level == 0)


def cover(start: int, end: int, *, coarsest: int = LEVELS[-1]) -> list[Piece]:
    """
    Cover a range of whole minutes with the fewest slices.

    Args:
        coarsest: the coarsest level to use.

    Returns:
        Pieces in order, without gap or overlap.
    """
    return _cover(start, end, LEVELS.index(coarsest))


def stored_cover(start: int, end: int, *, until: int, coarsest: int = LEVELS[-1]) -> list[Piece]:
    """
    Cover a range with slices of a file whose minutes are folded up to a time, a multiple of ``FOLD``; later ones are minutes.
    """
    folded, rest = min(end, max(start, until)), max(start, until)
    return [*cover(start, folded, coarsest=coarsest), *([(MINUTE, rest, end)] if rest < end else [])]


def slices_of(minute: int, *, until: int) -> list[tuple[int, int]]:
    """Return ``(level, start)`` of the slices to which the figures of a minute must be added: its own, and those already folded."""
    coarser = ((level, minute // level * level) for level in LEVELS[1:])
    return [(MINUTE, minute), *((level, start) for level, start in coarser if start + level <= until)]


def folds(start: int) -> list[tuple[int, int, int]]:
    """Return ``(level, finer level, start)`` of each slice that is complete with the ``FOLD`` seconds from a start, finest first."""
    end = start + FOLD
    return [(level, finer, end - level) for finer, level in pairwise(LEVELS) if end % level == 0]


def _cover(start: int, end: int, index: int) -> list[Piece]:
    if start >= end:
        return []
    level = LEVELS[index]
    first, last = -(-start // level) * level, end // level * level
    if first >= last:
        return _cover(start, end, index - 1) if index else []
    return [*_cover(start, first, index - 1), (level, first, last), *_cover(last, end, index - 1)]
