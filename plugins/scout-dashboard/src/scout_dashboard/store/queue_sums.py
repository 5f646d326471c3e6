"""The figures of jobs of one queue in one slice of time, and their form as a row of the store."""

from __future__ import annotations

import json
from typing import Final

from attrs import Factory, define

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import QueueMetrics
from scout_core.operations import counted_under
from scout_dashboard.store.packing import merged_histogram, pack_histogram

_MAX_OUTCOMES: Final = 40
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

COLUMNS: Final = "count, errors, total, durations, queue_time, waits, outcomes"
KINDS: Final = (int, int, float, bytes, float, bytes, str)
"""Types of the columns."""
Row = tuple[int, int, float, bytes, float, bytes, str]
"""The values of ``COLUMNS``."""


@define(kw_only=True)
class QueueSums:
    """Figures of jobs. Times in seconds."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    durations: Histogram = Factory(Histogram)
    queue_time: float = 0.0
    """Summed over the jobs in ``waits``."""
    waits: Histogram = Factory(Histogram)
    """The queue times of the jobs of which it is known."""
    outcomes: dict[str, int] = Factory(dict)
    """How many jobs ended how; those whose outcome is unknown are in none."""

    def add(self, other: QueueSums | QueueMetrics) -> None:
        """Add the other figures, which remain unchanged."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.durations.merge(other.durations)
        self.queue_time += other.queue_time
        self.waits.merge(other.waits)
        add_outcomes(self.outcomes, other.outcomes)

    def as_row(self) -> Row:
        """Return the values in the order of ``COLUMNS``."""
        return (
            self.count,
            self.errors,
            self.total,
            pack_histogram(self.durations),
            self.queue_time,
            pack_histogram(self.waits),
            _encode(self.outcomes),
        )


def queue_sums_of(metrics: QueueMetrics) -> QueueSums:
    """Copy the figures of a report."""
    return QueueSums(
        count=metrics.count,
        errors=metrics.errors,
        total=metrics.total,
        durations=Histogram(dict(metrics.durations.buckets)),
        queue_time=metrics.queue_time,
        waits=Histogram(dict(metrics.waits.buckets)),
        outcomes=dict(metrics.outcomes),
    )


def queue_sums_of_row(row: Row) -> QueueSums:
    """Read a row that ``as_row`` made."""
    count, errors, total, durations, queue_time, waits, outcomes = row
    return QueueSums(
        count=count,
        errors=errors,
        total=total,
        durations=merged_histogram([durations]),
        queue_time=queue_time,
        waits=merged_histogram([waits]),
        outcomes=json.loads(outcomes),
    )


def add_outcomes(outcomes: dict[str, int], more: dict[str, int]) -> None:
    """Add the counts of each outcome to the first; those beyond a limit are counted as ``other``."""
    for outcome, count in more.items():
        name = counted_under(outcome, outcomes, _MAX_OUTCOMES)
        outcomes[name] = outcomes.get(name, 0) + count
