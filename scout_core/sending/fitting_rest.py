"""Figures that fit into a report: the largest by themselves, and the sum of the rest, so that nothing is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Part = TypeVar("_Part")


def fit_with_rest(
    given: Sequence[_Part],
    room: int,
    size_of: Callable[[_Part], int],
    *,
    is_rest: Callable[[_Part], bool],
    weight: Callable[[_Part], float],
    sums_of: Callable[[Sequence[_Part]], tuple[_Part, ...]],
) -> tuple[_Part, ...]:
    """
    Return all parts if they fit; otherwise the heaviest, and the sums of the others, which stay even when there is no room for them.

    Args:
        room: bytes.
        is_rest: whether a part is a sum of others already.
        weight: of a part; those with the least are summed first.
        sums_of: sums parts, which may be none.
    """
    sizes = {id(part): size_of(part) for part in given}
    if sum(sizes.values()) <= room:
        return tuple(given)
    listed = sorted((part for part in given if not is_rest(part)), key=lambda part: -weight(part))
    rest = [part for part in given if is_rest(part)]
    while True:
        sums = sums_of(rest)
        if not listed or sum(sizes[id(part)] for part in listed) + sum(map(size_of, sums)) <= room:
            return (*listed, *sums)
        step = max(1, len(listed) // 10)
        rest += listed[-step:]
        del listed[-step:]
