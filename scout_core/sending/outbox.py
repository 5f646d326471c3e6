"""A bounded queue and a thread for one exporter: retries with growing pauses, and counts what it had to drop."""

from __future__ import annotations

import random
from collections import deque
from threading import Condition, Thread
from typing import Final

from attrs import frozen

from scout_core.clocks import monotonic
from scout_core.errors import RejectedReport
from scout_core.log import Log
from scout_core.measuring.report import Report, Tags
from scout_core.sending.exporter import Exporter
from scout_core.sending.ledger import MAX_REASONS, NOT_SENT, Ledger
from scout_core.threads import NoThread, lock_factory, start_thread

log = Log("scout_core.exporters")

MAX_REPORTS: Final = 30
MAX_BYTES: Final = 4 * 1024 * 1024
"""Roughly: of the reports' contents as they will be encoded."""
LONGEST_PAUSE: Final = 60.0
LONGEST_INTERVAL: Final = 86_400.0
LONGEST_REASON: Final = 100
"""Characters."""


@frozen
class _Waiting:
    report: Report
    transactions: int
    size: int


class Outbox:
    """Reports on their way through one exporter. No method but ``join`` waits for it."""

    requested_interval: float | None = None
    """Seconds between reports that the receiver requested last."""

    def __init__(self, exporter: Exporter, ledger: Ledger) -> None:
        self.exporter = exporter
        self.name = exporter.name
        self._ledger = ledger
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._changed = Condition()
        self._locks_made_by = lock_factory()
        self._is_sending = False
        """The first of the queue is in the exporter's hands."""
        self._deadline: float | None = None
        """Set once it shall stop: monotonic seconds."""
        self._failures = 0
        self._logged: set[str] = set()
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Start the thread; after a late patch, another one once the old one has ended."""
        if self._locks_made_by is not lock_factory():
            if self._thread is not None:
                with self._changed:
                    self._changed.notify()
                return
            self._locks_made_by = lock_factory()
            self._changed = Condition()
        with self._changed:
            if self._thread is not None or self._deadline is not None:
                return
            thread = start_thread(self._run, f"scout-core-{self.name}")
            if isinstance(thread, NoThread):
                self._log_once("thread", f"{_format_error(thread.error)}; reports wait")
            else:
                self._thread = thread

    def put(self, report: Report, transactions: int) -> None:
        """Take a report; when there is no room the oldest one goes, and is counted."""
        waiting = _Waiting(report, transactions, _weight(report))
        with self._changed:
            self._size += waiting.size
            if self._deadline is not None:  # of a thread that had been given up, and went on
                self._lose(waiting, NOT_SENT)
                return
            self._queue.append(waiting)
            while len(self._queue) > 1 + self._is_sending and self._is_too_full():
                oldest = self._queue[self._is_sending]  # not the one that may be arriving at this moment
                del self._queue[self._is_sending]
                self._lose(oldest, "outbox full")
            self._changed.notify()
        self.begin()

    def stop(self, deadline: float) -> None:
        """Send what is there until the deadline (monotonic seconds); at once, whatever pause there was."""
        with self._changed:
            self._deadline = deadline
            self._changed.notify()

    def join(self) -> None:
        """After ``stop``: wait until everything is sent or the deadline is over, then drop and count the rest."""
        deadline = self._deadline or 0.0
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))
        with self._changed:
            while self._queue:
                self._lose(self._queue.popleft(), NOT_SENT)

    def _run(self) -> None:
        locks_made_by = self._locks_made_by
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._queue or self._deadline is not None or locks_made_by is not lock_factory()
                )
                is_patched = locks_made_by is not lock_factory()
                if is_patched and self._deadline is None and (not self._queue or self._failures):
                    self._thread = None  # the next ``begin`` starts another one
                    return
                if not self._queue or (self._deadline is not None and monotonic() >= self._deadline):
                    return
                waiting = self._queue[0]
                self._is_sending = True
            is_over = self._send(waiting)
            with self._changed:
                self._is_sending = False
                if is_over:
                    continue
                if self._deadline is not None:
                    return
                self._changed.wait_for(
                    lambda: self._deadline is not None or locks_made_by is not lock_factory(),
                    pause_after(self._failures),
                )

    def _send(self, waiting: _Waiting) -> bool:
        """Whether it needs not be sent again."""
        try:
            interval = self.exporter.export(waiting.report)
        except RejectedReport as error:
            reason = _format_error(getattr(error, "reason", "rejected"))[:LONGEST_REASON]
            self._failures = 0
            self._log_once(reason, f"{_format_error(error)}; reports are dropped and counted")
            self._done(waiting, reason)
            return True
        except BaseException as error:  # noqa: BLE001  # sys.exit() in an exporter, too, must not end this thread of ours
            self._failures += 1
            self._log_once(
                "unreachable", f"{type(error).__name__}: {_format_error(error)}; reports wait and are sent again"
            )
            return False
        self._failures = 0
        self._logged.clear()
        self._done(waiting, None)
        if isinstance(interval, (int, float)) and 0 < interval < LONGEST_INTERVAL:
            self.requested_interval = float(interval)
        return True

    def _done(self, waiting: _Waiting, reason: str | None) -> None:
        with self._changed:
            if not self._queue or self._queue[0] is not waiting:
                return  # the deadline was over before it arrived, so it is counted already
            self._queue.popleft()
            if reason is not None:
                self._lose(waiting, reason)
            else:
                self._size -= waiting.size
                self._ledger.delivered(self.name, waiting.transactions)

    def _lose(self, waiting: _Waiting, reason: str) -> None:
        self._size -= waiting.size
        self._ledger.lost(self.name, waiting.transactions, reason)

    def _is_too_full(self) -> bool:
        return len(self._queue) > MAX_REPORTS or self._size > MAX_BYTES

    def _log_once(self, cause: str, message: str) -> None:
        if cause not in self._logged and len(self._logged) < MAX_REASONS:
            self._logged.add(cause)
            log.info("exporter %s: %s", self.name, message)


def pause_after(failures: int) -> float:
    """Seconds to wait before the next attempt: 1, 2, 4 … 60, each a quarter more or less so that senders spread out."""
    return min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 16)) * random.uniform(0.75, 1.25)  # noqa: S311  # no secret


def _format_error(anything: object) -> str:
    try:
        return str(anything)
    except Exception:  # noqa: BLE001  # a plugin's exception can fail even at that
        return "<unprintable exception>"


def _weight(report: Report) -> int:
    """About how many bytes it will be: 10 a bucket, 80 a kind, 150 a span and its texts."""
    names = sum(200 + 10 * len(metrics.durations.buckets) + 80 * len(metrics.kinds) for metrics in report.transactions)
    spans = sum(150 + _weight_of(span.tags) for trace in report.traces for span in trace.spans)
    traces = sum(500 + _weight_of(trace.tags) for trace in report.traces)
    return 500 + names + spans + traces + 300 * len(report.plugins)


def _weight_of(tags: Tags) -> int:
    return sum(20 + len(key) + (len(value) if isinstance(value, str) else 0) for key, value in tags.items())
