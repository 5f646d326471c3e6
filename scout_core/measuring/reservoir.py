"""The scored set: the best candidates of a period, at most one of each name.

Source of the rules: scout_apm_ruby ``scored_item_set.rb``.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Generic, TypeVar

from attrs import define, field, frozen

_Item = TypeVar("_Item")
_score = attrgetter("score")


@frozen
class Kept(Generic[_Item]):
    """One candidate that has a place."""

    name: str
    score: float
    policies: dict[str, float]
    """Policy name to its points."""
    item: _Item
    seen: dict[str, float] = field(factory=dict)
    """The figures that the policies could read."""


@define
class Reservoir(Generic[_Item]):
    """Holds at most ``size`` candidates."""

    size: int
    _by_name: dict[str, Kept[_Item]] = field(factory=dict)
    _worst: Kept[_Item] | None = None
    """The first of those with the lowest score; None while not known."""

    def admits(self, name: str, score: float) -> bool:
        """Whether ``offer`` would give a place to a candidate of this name and score."""
        same = self._by_name.get(name)
        if same is not None:
            return score > same.score  # ties keep the first
        if len(self._by_name) < self.size:
            return True
        return self.size > 0 and score > self._find_worst().score

    def offer(self, candidate: Kept[_Item]) -> Kept[_Item] | None:
        """
        Let a candidate compete.

        Returns:
            The candidate without a place after that: this one, or the one that it replaced; None when there was room.
        """
        if not self.admits(candidate.name, candidate.score):
            return candidate
        replaced = self._by_name.get(candidate.name)
        if replaced is None and len(self._by_name) >= self.size:
            replaced = self._find_worst()
            del self._by_name[replaced.name]
        self._by_name[candidate.name] = candidate
        self._worst = None
        return replaced

    def take(self) -> list[Kept[_Item]]:
        """Remove and return all candidates that have a place, best first."""
        kept = sorted(self._by_name.values(), key=lambda item: -item.score)
        self._by_name = {}
        self._worst = None
        return kept

    def _find_worst(self) -> Kept[_Item]:
        if self._worst is None:
            self._worst = min(self._by_name.values(), key=_score)  # of equals the first
        return self._worst
