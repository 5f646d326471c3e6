"""Prefer the names that take the most time: 2.5 points times the name's share of the time spent in all transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl

if TYPE_CHECKING:
    from scout_core import Stats


@hookimpl
def score_transaction(stats: Stats) -> float:
    """More for a name that takes more of all time."""
    return stats.share * 2.5
