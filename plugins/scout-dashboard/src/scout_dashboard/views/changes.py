"""Words for the changes that came with a deploy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from scout_dashboard.formatting import plural
from scout_dashboard.queries import change


@frozen
class Label:
    """A change, as the page shows it."""

    text: str
    css: str


_LABELS: Final = {
    change.SLOWER: Label("slower", "s-failed"),
    change.MORE: Label("more errors", "s-failed"),
    change.FASTER: Label("faster", "s-active"),
    change.FEWER: Label("fewer errors", "s-active"),
}
_OTHER: Final = {
    change.USUAL: Label("as on other days", "s-disabled"),
    change.TOO_FEW: Label("too few to compare", "s-waiting"),
    change.NOT_CLEAR: Label("no clear change", "s-disabled"),
}


def change_of(row: Mapping[str, str]) -> list[Label]:
    """Return the labels of a name, one or two; both its time and its errors have a state."""
    states = row["time"], row["errors"]
    clear = [_LABELS[state] for state in states if state in _LABELS]
    return clear or [next(label for state, label in _OTHER.items() if state in states)]


def answer(states: Mapping[str, int]) -> str:
    """Return how many names changed in each way: ``2 slower, 1 with more errors``; empty without a change."""
    words = {
        change.SLOWER: "slower",
        change.MORE: "with more errors",
        change.FASTER: "faster",
        change.FEWER: "with fewer errors",
    }
    return ", ".join(f"{states[state]:,} {text}" for state, text in words.items() if states.get(state))


def length(seconds: int) -> str:
    """Return the length of a period: ``24 hours``, ``1 hour 12 minutes``."""
    hours, minutes = divmod(seconds // 60, 60)
    return " ".join(plural(number, unit) for number, unit in ((hours, "hour"), (minutes, "minute")) if number)
