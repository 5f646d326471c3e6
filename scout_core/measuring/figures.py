"""Transactions of one name that are only counted and timed, many at once: while there is no time to look into them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from scout_core.measuring.histogram import Histogram, bucket_of

if TYPE_CHECKING:
    from scout_core.recording.transaction import Transaction

Brief = tuple[str, int, int, bool, "Transaction | None"]
"""Operation, start and end in nanoseconds, whether it failed; and itself, without spans, where a plugin may ignore it."""


class Figures:
    """The sums for one name."""

    __slots__ = ("count", "errors", "total_ns", "durations")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.total_ns = 0
        self.durations = Histogram()

    def add(self, duration_ns: int, is_error: bool) -> None:
        """
        Count one transaction, or nothing at all.

        Raises:
            Exception: the application has set something else than a time.
        """
        if duration_ns < 0:
            duration_ns = 0
        self.durations.add_to(bucket_of(duration_ns / 1e9))
        self.count += 1
        self.errors += is_error
        self.total_ns += duration_ns


def sum_by_operation(briefs: Iterable[Brief]) -> tuple[dict[str, Figures], int]:
    """Return the sums for each operation, and how many transactions have no readable times."""
    found: dict[str, Figures] = {}
    unreadable = 0
    for operation, start_ns, stop_ns, is_error, _ in briefs:
        figures = found.get(operation)
        if figures is None:
            figures = found[operation] = Figures()
        try:
            figures.add(stop_ns - start_ns, is_error)
        except Exception:  # noqa: BLE001  # applications can set any attribute
            unreadable += 1
    return {operation: figures for operation, figures in found.items() if figures.count}, unreadable
