"""Counts of the reports that this collector received since it started: kept in memory, shown on the health page."""

from __future__ import annotations

import time
from threading import Lock
from typing import Final

from attrs import Factory, asdict, define

from scout_core.measuring.report import Report

_ATTENTION_SECONDS: Final = 600.0
_LIVE_SECONDS: Final = 5
_IDLE_SECONDS: Final = 60


@define(kw_only=True)
class Counts:
    """Counts since the start of the collector."""

    reports: int = 0
    """Stored reports; a duplicate is not counted again."""
    transactions: int = 0
    spans: int = 0
    """All measured spans, whether their traces were kept or not; transactions are not included."""
    traces: int = 0
    duplicates: int = 0
    rejected: dict[str, int] = Factory(dict)
    """Reason to the number of rejected requests."""


class Tally:
    """Counters, and the current reason why reports cannot be written. Thread-safe."""

    def __init__(self) -> None:
        self.started = time.time()
        self._last_view = time.monotonic()
        self.problem: str | None = None
        """Why the latest report could not be written; None after the next successful write."""
        self._counts = Counts()
        self._lock = Lock()

    def count_stored(self, report: Report) -> None:
        """Count a stored report."""
        with self._lock:
            self.problem = None
            self._counts.reports += 1
            self._counts.traces += len(report.traces)
            for metrics in report.transactions:
                self._counts.transactions += metrics.count
                self._counts.spans += max(0, sum(kind.count for kind in metrics.kinds.values()) - metrics.count)

    def count_duplicate(self) -> None:
        """Count a report that was stored before."""
        with self._lock:
            self._counts.duplicates += 1

    def count_rejected(self, reason: str) -> None:
        """Count a rejected report."""
        with self._lock:
            self._counts.rejected[reason] = self._counts.rejected.get(reason, 0) + 1

    def count_failed(self, reason: str, problem: str) -> None:
        """Count a report that could not be written; its sender may retry."""
        with self._lock:
            self.problem = problem
        self.count_rejected(reason)

    def note_view(self) -> None:
        """Record that someone is viewing the dashboard."""
        self._last_view = time.monotonic()

    def next_report(self) -> int:
        """Return the requested number of seconds until the next report: few while someone is viewing the dashboard."""
        return _LIVE_SECONDS if time.monotonic() - self._last_view < _ATTENTION_SECONDS else _IDLE_SECONDS

    def facts(self) -> dict[str, object]:
        """Return everything as JSON."""
        with self._lock:
            return asdict(self._counts) | {"started": self.started, "problem": self.problem}
