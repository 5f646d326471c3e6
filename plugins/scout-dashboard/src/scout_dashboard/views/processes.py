"""What the health and plugin pages say of a process: whether its counters add up, and what needs a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

CHOSEN: Final = ("ignored", "sampled")
"""Reasons that the user asked for; a transaction dropped for any other reason was lost."""


@frozen
class Dropped:
    """Transactions that were not exported, for one reason."""

    reason: str
    count: int
    is_lost: bool


@frozen(kw_only=True)
class Balance:
    """``finished = exported + queued + dropped``, and whether it is so."""

    finished: int
    exported: int
    queued: int
    dropped: int
    reasons: tuple[Dropped, ...]
    """Lost ones first, then most first."""
    difference: int
    """0 when it adds up."""

    @property
    def lost(self) -> int:
        """Dropped without having been asked to."""
        return sum(reason.count for reason in self.reasons if reason.is_lost)

    def percent(self, number: int) -> float:
        """Of all that finished, for a bar: 0 to 100 even when it does not add up."""
        share = 100 * number / self.finished if self.finished > 0 else 0.0
        return round(max(0.0, min(100.0, share)), 3)


def balance(counters: Mapping[str, Any]) -> Balance:
    """
    The equation of one exporter, or of all.

    Args:
        counters: ``finished``, ``exported``, ``queued`` and ``dropped`` of the JSON; others are not looked at (Any: of several types).
    """
    reasons = [
        Dropped(reason, number, not reason.startswith(CHOSEN))
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


def trouble(plugins: list[Mapping[str, Any]]) -> int:
    """How many plugins of a process need a look."""
    return sum(1 for plugin in plugins if plugin["needs_look"])
