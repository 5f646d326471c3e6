"""The state of a queue in words."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from scout_dashboard.queries import waiting


@frozen
class Label:
    """A state of a queue, as the page shows it."""

    text: str
    css: str


_LABELS: Final = {
    waiting.BEHIND: Label("falls behind", "s-failed"),
    waiting.STOPPED: Label("nothing has run", "s-skipped"),
    waiting.RECOVERED: Label("has caught up", "s-active"),
    waiting.STEADY: Label("keeps up", "s-active"),
    waiting.UNCOMPARED: Label("too few jobs to compare", "s-waiting"),
    waiting.UNKNOWN: Label("waiting time not known", "s-waiting"),
    waiting.IDLE: Label("nothing has run", "s-disabled"),
}


def queue_state(state: str) -> Label:
    """Return the label of a state."""
    return _LABELS[state]


def compared_with(against: str | None) -> str:
    """Return what the waiting time was compared with; empty when it was with nothing."""
    return {
        waiting.BEFORE: "in the period before, of the same length",
        waiting.EARLIER: "in the earlier half of this period",
    }.get(against or "", "")
