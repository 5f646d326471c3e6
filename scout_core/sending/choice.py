"""The aggregates of the open period, what is known of each name, and the traces that hold a place so far."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from time import monotonic
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.measuring.metrics import NameMetrics
from scout_core.measuring.report import TransactionMetrics
from scout_core.measuring.reservoir import Kept, Reservoir
from scout_core.measuring.stats import Lifetime, Stats
from scout_core.operations import CONTROLLER, JOB, OTHER_NAME, is_web
from scout_core.sending.traces import LONGEST_OPERATION

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.recording.transaction import Transaction

MOST_POINTS: Final = 1e9
"""Of one policy, up or down: the sum stays a number that receivers take."""


@define(eq=False)
class Choice:
    """On the agent's thread alone."""

    config: Config
    names_merged: int = 0
    """Transactions counted under ``other`` because there were too many names."""
    _names: dict[str, NameMetrics] = field(factory=dict)
    _lifetimes: dict[str, Lifetime] = field(factory=dict)
    _all_time: float = 0.0
    _kept: dict[bool, Reservoir[Transaction]] = field(init=False)
    """Whether it is for web requests, to the set."""

    def __attrs_post_init__(self) -> None:
        self._kept = {web: Reservoir(self.config.get("traces_per_period")) for web in (True, False)}

    def read_limits(self) -> None:
        """Take what the configuration says now; traces that hold a place keep it for this period."""
        for reservoir in self._kept.values():
            reservoir.size = self.config.get("traces_per_period")

    def add(self, transaction: Transaction, policies: Iterable[Guard]) -> Transaction | None:
        """
        Count a transaction, and let it compete.

        Returns:
            The one that has no place after that: this or another; None when there was room.
        """
        now = monotonic()
        name = self._name_of(transaction, now)
        lifetime = self._lifetimes[name]
        metrics = self._names.get(name) or NameMetrics()
        metrics.add(transaction)
        self._names[name] = metrics
        duration = (transaction.stop_ns - transaction.start_ns) / 1e9
        lifetime.count += 1
        lifetime.total += duration
        lifetime.durations.add(duration)
        self._all_time += duration
        stats = Stats(lifetime, duration, self._all_time, now)
        points = self._score(transaction, stats, policies)
        candidate = Kept(name, sum(points.values()), points, transaction)
        beaten = self._kept[is_web(name)].offer(candidate)
        if beaten is not candidate:
            candidate.seen.update(stats.as_numbers())
        return None if beaten is None else beaten.item

    def take_metrics(self) -> tuple[TransactionMetrics, ...]:
        """The aggregates of the period, which is over."""
        names, self._names = self._names, {}
        return tuple(metrics.freeze(name) for name, metrics in names.items())

    def take_kept(self) -> list[Kept[Transaction]]:
        """Those that held a place in the period, which is over: web requests first, of each the best first."""
        kept = [item for web in (True, False) for item in self._kept[web].take()]
        for item in kept:
            self._lifetimes[item.name].kept_at = monotonic()
        return kept

    def _name_of(self, transaction: Transaction, now: float) -> str:
        """The name it is counted under; from now on it has a lifetime."""
        name = transaction.operation[:LONGEST_OPERATION]
        if name not in self._lifetimes:
            if len(self._lifetimes) >= self.config.get("max_names"):
                self.names_merged += 1
                name = f"{CONTROLLER if is_web(name) else JOB}/{OTHER_NAME}"
            self._lifetimes.setdefault(name, Lifetime(now))
        return name

    def _score(self, transaction: Transaction, stats: Stats, policies: Iterable[Guard]) -> dict[str, float]:
        """Policy name to its points after its weight; policies that gave none are not in it."""
        points = {}
        weights = self.config.get("policies")
        for guard in policies:
            given = guard.run(transaction, stats, self.config)
            if given is None:
                continue
            if type(given) not in (int, float) or not _is_finite(given):
                guard.refuse(
                    f"a score is a finite number or None, not {given if isinstance(given, float) else type(given).__name__}"
                )
                continue
            weighted = float(given) * weights.get(guard.plugin, 1.0)
            points[guard.plugin] = max(-MOST_POINTS, min(weighted, MOST_POINTS))
        return points


def _is_finite(number: float) -> bool:
    try:
        return isfinite(number)
    except OverflowError:  # an int that no float can hold
        return False
