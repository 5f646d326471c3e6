"""The scored set: the best candidates of a period, at most one of each group.

Source of the rules for groups by name: scout_apm_ruby ``scored_item_set.rb``.

Places are reserved for the groups of each plugin. A place that is not needed there is free for all others, and is given back
when a candidate comes for which it is reserved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from operator import attrgetter
from typing import Final, Generic, TypeVar

from attrs import Factory, define, field, frozen

from scout_core.measuring.groups import Group

_Item = TypeVar("_Item")
_score = attrgetter("score")
MOST_LEFT_OUT: Final = 1_000
"""Groups without a place that are counted in a period."""


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
    group: Group = field(default=Factory(lambda self: Group(self.name), takes_self=True))


@define
class Reservoir(Generic[_Item]):
    """Holds at most ``size`` candidates."""

    size: int
    reserved: Mapping[str, int] = field(factory=dict)
    """Plugin to the number of places that the candidates of its groups have a right to; at most ``size`` in sum."""
    _by_group: dict[Group, Kept[_Item]] = field(factory=dict)
    _held: Counter[str] = field(factory=Counter)
    """Plugin to the number of places that the candidates of its groups have."""
    _weakest: dict[str, Kept[_Item] | None] = field(factory=dict)
    """Results of ``_find_weakest``; emptied when a place changes hands."""
    _left_out: set[int] = field(factory=set)
    """Hashes of groups that had no place at some time: a group may be a long text, and anything may be one."""

    def reserve(self, size: int, reserved: Mapping[str, int]) -> None:
        """Change the number of places, and those that are reserved; who has a place keeps it."""
        self.size, self.reserved = size, reserved
        self._weakest = {}  # another one, not an empty one: the agent's thread may be reading it

    def admits(self, group: Group, score: float) -> bool:
        """Whether ``offer`` would give a place to a candidate of this group and score."""
        same = self._by_group.get(group)
        if same is not None:
            return score > same.score  # ties keep the first
        if len(self._by_group) < self.size:
            return True
        weakest = self._find_weakest(group.plugin)
        if weakest is not None and (self._has_a_right(group.plugin) or score > weakest.score):
            return True
        self._leave_out(group)
        return False

    def offer(self, candidate: Kept[_Item]) -> Kept[_Item] | None:
        """
        Let a candidate compete.

        Returns:
            The candidate without a place after that: this one, or the one that it replaced; None when there was room.
        """
        group = candidate.group
        if not self.admits(group, candidate.score):
            return candidate
        replaced = self._by_group.get(group)
        if replaced is None:
            if len(self._by_group) >= self.size and (replaced := self._find_weakest(group.plugin)) is not None:
                del self._by_group[replaced.group]
                self._held[replaced.group.plugin] -= 1
                self._leave_out(replaced.group)
            self._held[group.plugin] += 1
        self._by_group[group] = candidate
        self._weakest = {}
        return replaced

    def take(self) -> list[Kept[_Item]]:
        """Remove and return all candidates that have a place, best first."""
        kept = sorted(self._by_group.values(), key=lambda item: -item.score)
        self._by_group = {}
        self._held.clear()
        self._weakest = {}
        self._left_out.clear()
        return kept

    @property
    def left_out(self) -> int:
        """The number of groups that have no place though a candidate came: exact up to ``MOST_LEFT_OUT``."""
        return len(self._left_out.difference(map(hash, self._by_group)))

    def _leave_out(self, group: Group) -> None:
        if len(self._left_out) < MOST_LEFT_OUT:
            self._left_out.add(hash(group))

    def _has_a_right(self, plugin: str) -> bool:
        return self._held[plugin] < self.reserved.get(plugin, 0)

    def _find_weakest(self, plugin: str) -> Kept[_Item] | None:
        """
        Return the candidate whose place one of this plugin can get: the worst, of equals the first; None when each has a right to its.

        These are the plugin's own, and those in places that are not reserved for them.
        """
        weakest = self._weakest
        if plugin not in weakest:
            exposed = {other for other, held in self._held.items() if held > self.reserved.get(other, 0)}
            if not self._has_a_right(plugin):
                exposed.add(plugin)
            rivals = (kept for kept in self._by_group.values() if kept.group.plugin in exposed)
            weakest[plugin] = min(rivals, key=_score, default=None)
        return weakest[plugin]
