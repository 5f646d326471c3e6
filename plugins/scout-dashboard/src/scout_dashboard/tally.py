"""What this collector received since it started: counted in memory, shown on the health page."""

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
    """Since the start of the collector."""

    reports: int = 0
    """Stored; a report that came twice is one."""
    transactions: int = 0
    spans: int = 0
    """All that were measured, in traces or not; the transactions themselves are not among them."""
    traces: int = 0
    duplicates: int = 0
    rejected: dict[str, int] = Factory(dict)
    """Reason to the number of attempts that were not stored."""


class Tally:
    """Counts, and what keeps the collector from writing right now. Safe to use from any thread."""

    def __init__(self) -> None:
        self.started = time.time()
        self._looked = time.monotonic()
        self.problem: str | None = None
        """Why the latest report could not be written; None once one was written again."""
        self._counts = Counts()
        self._lock = Lock()

    def stored(self, report: Report) -> None:
        """A report is in the store."""
        with self._lock:
            self.problem = None
            self._counts.reports += 1
            self._counts.traces += len(report.traces)
            for metrics in report.transactions:
                self._counts.transactions += metrics.count
                self._counts.spans += max(0, sum(kind.count for kind in metrics.kinds.values()) - metrics.count)

    def repeated(self) -> None:
        """A report came again and was not counted again."""
        with self._lock:
            self._counts.duplicates += 1

    def rejected(self, reason: str) -> None:
        """A report was not taken."""
        with self._lock:
            self._counts.rejected[reason] = self._counts.rejected.get(reason, 0) + 1

    def failed(self, reason: str, problem: str) -> None:
        """A report could not be written; whoever sent it may try again."""
        with self._lock:
            self.problem = problem
        self.rejected(reason)

    def looked(self) -> None:
        """Somebody looks at the dashboard."""
        self._looked = time.monotonic()

    def next_report(self) -> int:
        """Seconds after which the next report is welcome: soon while somebody looks, or may begin to any moment."""
        return _LIVE_SECONDS if time.monotonic() - self._looked < _ATTENTION_SECONDS else _IDLE_SECONDS

    def facts(self) -> dict[str, object]:
        """All of it, for JSON."""
        with self._lock:
            return asdict(self._counts) | {"started": self.started, "problem": self.problem}
