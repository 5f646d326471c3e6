"""The metrics of one name, or of all names, in one slice of time, and their form as a row of the store."""

from __future__ import annotations

import json
from typing import Final

from attrs import Factory, define

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import KindMetrics, TransactionMetrics
from scout_core.operations import OTHER, counted_under
from scout_dashboard.store.packing import merged_histogram, pack_histogram

_MAX_KINDS: Final = 64
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@define
class KindSums:
    """Metrics of all spans of one kind."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    exclusive: float = 0.0

    def add(self, other: KindSums | KindMetrics) -> None:
        """Add the other metrics."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.exclusive += other.exclusive


@define(kw_only=True)
class Sums:
    """Metrics of transactions. Times in seconds."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    queue_time: float = 0.0
    queued: int = 0
    durations: Histogram = Factory(Histogram)
    kinds: dict[str, KindSums] = Factory(dict)

    def add(self, other: Sums | TransactionMetrics) -> None:
        """Add the other metrics, which remain unchanged."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.queue_time += other.queue_time
        self.queued += other.queued
        self.durations.merge(other.durations)
        for kind, sums in other.kinds.items():
            known = self.kinds.get(kind)
            if known is None:
                name = counted_under(kind, self.kinds, _MAX_KINDS, OTHER)
                known = self.kinds.setdefault(name, KindSums())
            known.add(sums)

    def as_row(self) -> tuple[int, int, float, float, int, bytes, str]:
        """Return the values in the order of ``COLUMNS``."""
        kinds = {kind: (sums.count, sums.errors, sums.total, sums.exclusive) for kind, sums in self.kinds.items()}
        return (
            self.count,
            self.errors,
            self.total,
            self.queue_time,
            self.queued,
            pack_histogram(self.durations),
            _encode(kinds),
        )


COLUMNS: Final = "count, errors, total, queue_time, queued, durations, kinds"
KINDS: Final = (int, int, float, float, int, bytes, str)
"""Types of the columns."""


def sums_of(metrics: TransactionMetrics) -> Sums:
    """Copy the metrics of a report."""
    return Sums(
        count=metrics.count,
        errors=metrics.errors,
        total=metrics.total,
        queue_time=metrics.queue_time,
        queued=metrics.queued,
        durations=Histogram(dict(metrics.durations.buckets)),
        kinds={
            name: KindSums(kind.count, kind.errors, kind.total, kind.exclusive) for name, kind in metrics.kinds.items()
        },
    )


def sums_of_row(row: tuple[int, int, float, float, int, bytes, str]) -> Sums:
    """Read a row that ``as_row`` made."""
    count, errors, total, queue_time, queued, durations, kinds = row
    return Sums(
        count=count,
        errors=errors,
        total=total,
        queue_time=queue_time,
        queued=queued,
        durations=merged_histogram([durations]),
        kinds={kind: KindSums(*figures) for kind, figures in json.loads(kinds).items()},
    )
