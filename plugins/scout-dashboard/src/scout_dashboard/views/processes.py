"""Processes with their counters and plugins, as the health and plugin pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from scout_core.sending.protocol import DROPPED_AS_CONFIGURED

Process = Mapping[str, Any]  # Any: one process of the JSON


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
    unbalanced: int
    """Number of processes for which it does not add up, of a sum over several; their differences may cancel."""

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
        unbalanced=counters.get("unbalanced", 0),
    )


def processes_of(processes: Sequence[Process], app: str) -> list[Process]:
    """Return the processes of an application: first those that need attention, then those that run, then the others."""
    own = [process for process in processes if process["app"] == app]
    return sorted(own, key=lambda process: (not _needs_attention(process), process["state"] != "running"))


def count_states(states: Mapping[str, int]) -> str:
    """Describe how many processes are in which state: ``4 running, 196 ended, 1 without a last report``."""
    words = {"running": "running", "ended": "ended", "silent": "without a last report"}
    return ", ".join(f"{states[state]:,} {words[state]}" for state in words if states.get(state))


def _needs_attention(process: Process) -> bool:
    reports = process["reports"]
    is_off = any(sum_of_all.difference or sum_of_all.lost for sum_of_all in map(balance, process["counters"].values()))
    return is_off or process["state"] == "silent" or bool(process["corrected"] or (reports and reports["missing"]))


def count_problems(plugins: list[Mapping[str, Any]]) -> int:
    """Return how many plugins of a process need attention."""
    return sum(1 for plugin in plugins if plugin["needs_attention"])
