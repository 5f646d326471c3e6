"""Counts of the reports that this collector received since it started: kept in memory, shown on the health page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import Lock
from typing import Final

from attrs import Factory, asdict, define

from scout_core.measuring.report import Report
from scout_core.problems import Problem

_ATTENTION_SECONDS: Final = 600.0
_LONGEST_REFUSAL: Final = 500
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
    corrected: dict[str, int] = Factory(dict)
    """Reason to the number of values in stored reports that were corrected or cut."""
    dropped_connections: dict[str, int] = Factory(dict)
    """Reason to the number of connections that were closed although the client had not closed them, and was not answered."""
    delayed_requests: int = 0
    """Those without a token that waited, because there were too many of them."""
    not_accepted: dict[str, int] = Factory(dict)
    """Name of an error, such as ``EMFILE``, to the number of times that accepting connections was paused because of it."""


class Tally:
    """Counters, and the current reason why reports cannot be written. Thread-safe."""

    def __init__(self, *, private_socket: str | None = None, private_problem: str = "") -> None:
        """
        Args:
            private_socket: path of the socket on which agents of this user report, None without one.
            private_problem: why it is missing.
        """
        self._private = {"private_socket": private_socket, "private_problem": private_problem}
        self.started = time.time()
        self._last_view = time.monotonic()
        self.problem: str | None = None
        """Why the latest report could not be written; None after the next successful write."""
        self.latest_refusal: str | None = None
        """Why the latest report with something impossible was refused; None until then."""
        self.accept_problem: Problem | None = None
        """The latest reason why a connection could not be accepted; None until then."""
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

    def count_corrected(self, corrected: Mapping[str, int]) -> None:
        """Count what was corrected in a stored report, by reason."""
        with self._lock:
            for reason, number in corrected.items():
                self._counts.corrected[reason] = self._counts.corrected.get(reason, 0) + number

    def count_rejected(self, reason: str) -> None:
        """Count a rejected report."""
        with self._lock:
            self._counts.rejected[reason] = self._counts.rejected.get(reason, 0) + 1

    def count_invalid(self, reason: str, problem: str) -> None:
        """Count a report that is refused for its content."""
        with self._lock:
            self.latest_refusal = problem[:_LONGEST_REFUSAL]
        self.count_rejected(reason)

    def count_dropped_connection(self, reason: str) -> None:
        """Count a connection that was dropped."""
        with self._lock:
            self._counts.dropped_connections[reason] = self._counts.dropped_connections.get(reason, 0) + 1

    def count_delayed(self) -> None:
        """Count a request without a token that has to wait."""
        with self._lock:
            self._counts.delayed_requests += 1

    def count_not_accepted(self, problem: Problem) -> bool:
        """Count a connection that could not be accepted; the subject is the name of the error. Return whether it is the first."""
        with self._lock:
            self.accept_problem = problem
            number = self._counts.not_accepted.get(problem.subject, 0) + 1
            self._counts.not_accepted[problem.subject] = number
            return number == 1

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
            return (
                asdict(self._counts)
                | self._private
                | {
                    "started": self.started,
                    "problem": self.problem,
                    "latest_refusal": self.latest_refusal,
                    "accept_problem": None if self.accept_problem is None else asdict(self.accept_problem),
                }
            )
