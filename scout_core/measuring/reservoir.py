"""The scored set: the best candidates of a period, at most one of each name.

Source of the rules: scout_apm_ruby ``scored_item_set.rb``.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import define, field, frozen

_Item = TypeVar("_Item")


@frozen
class Kept(Generic[_Item]):
    """One candidate that holds a place."""

    name: str
    score: float
    policies: dict[str, float]
    """Policy name to its points."""
    item: _Item
    seen: dict[str, float] = field(factory=dict)
    """What the policies were told; filled in for those that hold a place."""


@define
class Reservoir(Generic[_Item]):
    """Holds at most ``size`` candidates."""

    size: int
    _by_name: dict[str, Kept[_Item]] = field(factory=dict)

    def offer(self, candidate: Kept[_Item]) -> Kept[_Item] | None:
        """
        Let a candidate compete.

        Returns:
            The one that has no place after that: the candidate itself, or whom it replaced; None when there was room.
        """
        if self.size <= 0:
            return candidate
        same = self._by_name.get(candidate.name)
        if same is not None:
            if candidate.score <= same.score:  # ties keep the first
                return candidate
            self._by_name[candidate.name] = candidate
            return same
        if len(self._by_name) < self.size:
            self._by_name[candidate.name] = candidate
            return None
        worst = min(self._by_name.values(), key=lambda kept: kept.score)  # of equals the first
        if candidate.score <= worst.score:
            return candidate
        del self._by_name[worst.name]
        self._by_name[candidate.name] = candidate
        return worst

    def take(self) -> list[Kept[_Item]]:
        """All that hold a place, best first; the set is empty afterwards."""
        kept = sorted(self._by_name.values(), key=lambda item: -item.score)
        self._by_name = {}
        return kept
