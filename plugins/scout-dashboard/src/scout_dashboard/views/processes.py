"""Counters and plugins of a process, as the health and plugin pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from scout_core.sending.protocol import DROPPED_AS_CONFIGURED


@frozen
class Dropped:
    """Transactions dropped for one reason."""

    reason: str
    count: int
    is_lost: bool


@frozen(kw_only=True)
class Balance:
    """The equation ``finished = exported + queued + dropped``."""

    finished: int
    exported: int
    queued: int
    dropped: int
    reasons: tuple[Dropped, ...]
    """Losses first, then the highest counts."""
    difference: int
    """0 when it adds up."""

    @property
    def lost(self) -> int:
        """Number of transactions dropped for other than configured reasons."""
        return sum(reason.count for reason in self.reasons if reason.is_lost)

    def percent(self, number: int) -> float:
        """Return the percentage of finished transactions for a bar: 0 to 100 even if the equation does not hold."""
        share = 100 * number / self.finished if self.finished > 0 else 0.0
        return round(max(0.0, min(100.0, share)), 3)


def balance(counters: Mapping[str, Any]) -> Balance:
    """
    Return the equation of one exporter, or of all.

    Args:
        counters: ``finished``, ``exported``, ``queued`` and ``dropped`` of the JSON; other keys are ignored (Any: several types).
    """
    reasons = [
        Dropped(reason, number, reason not in DROPPED_AS_CONFIGURED)
        for reason, number in counters["dropped"].items()
        if number
    ]
    reasons.sort(key=lambda reason: (not reason.is_lost, -reason.count, reason.reason))
    dropped = sum(reason.count for reason in reasons)
    return Balance(
        finished=counters["finished"],
        exported=counters["exported"],
        queued=counters["queued"],
        dropped=dropped,
        reasons=tuple(reasons),
        difference=counters["finished"] - counters["exported"] - counters["queued"] - dropped,
    )


def count_problems(plugins: list[Mapping[str, Any]]) -> int:
    """Return how many plugins of a process need attention."""
    return sum(1 for plugin in plugins if plugin["needs_attention"])
