"""Cuts lists, mappings and texts to a limit, and counts what was beyond it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import nlargest
from itertools import islice
from typing import Final, TypeVar

from attrs import Factory, frozen

from scout_core.operations import OTHER, OTHER_NAME

MAX_ITEMS: Final = 200
"""Items of a list or mapping, such as the plugins of a process or the tags of a span."""

_T = TypeVar("_T")
_N = TypeVar("_N", int, float)


@frozen
class Cutter:
    """The limits of one report."""

    cut: Counter[str] = Factory(Counter)
    """How much was beyond a limit, by what it was."""

    def count(self, what: str, most: int, number: int) -> None:
        """Count what is beyond a limit."""
        if number > 0:
            self.cut[f"{what} beyond {most:,}"] += number

    def first(self, items: Iterable[_T], what: str, most: int = MAX_ITEMS) -> tuple[_T, ...]:
        """Return the first items of a list."""
        found = tuple(items)
        self.count(what, most, len(found) - most)
        return found[:most]

    def some(self, items: dict[str, _T], what: str) -> dict[str, _T]:
        """Return the first items of a mapping."""
        self.count(what, MAX_ITEMS, len(items) - MAX_ITEMS)
        return items if len(items) <= MAX_ITEMS else dict(islice(items.items(), MAX_ITEMS))

    def summed(self, numbers: dict[str, _N], what: str) -> dict[str, _N]:
        """Return the largest numbers, and the sum of the others as ``other``."""
        if len(numbers) <= MAX_ITEMS:
            return numbers
        self.count(what, MAX_ITEMS, len(numbers) - MAX_ITEMS)
        largest = dict(nlargest(MAX_ITEMS, numbers.items(), key=lambda item: item[1]))
        rest = sum(number for name, number in numbers.items() if name not in largest)
        return {**largest, OTHER_NAME: largest.get(OTHER_NAME, 0) + rest}

    def merged(self, merged: dict[str, tuple[int, float]]) -> dict[str, tuple[int, float]]:
        """Return the merged operations of a trace that took longest, and the sums of the others as ``Other``."""
        if len(merged) <= MAX_ITEMS:
            return merged
        counts = {operation: count for operation, (count, _) in merged.items()}
        seconds = self.summed({operation: seconds for operation, (_, seconds) in merged.items()}, "merged operations")
        rest = sum(count for operation, count in counts.items() if operation not in seconds)
        found = {operation: (counts[operation], seconds[operation]) for operation in seconds if operation in counts}
        return {**found, OTHER: (rest, seconds[OTHER_NAME])}

    def text(self, text: str, most: int) -> str:
        """Return the beginning of a text."""
        if len(text) <= most:
            return text
        self.cut[f"texts beyond {most:,} characters"] += 1
        return f"{text[: most - 1]}…"
