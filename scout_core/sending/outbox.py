"""A bounded queue and a thread for one exporter: retries with growing pauses, and counts what it had to drop."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from time import monotonic
from typing import Final

from attrs import frozen

from scout_core.errors import RejectedReport
from scout_core.measuring.report import Report
from scout_core.sending.exporter import Exporter
from scout_core.sending.ledger import Ledger

log = logging.getLogger("scout_core.exporters")

MAX_REPORTS: Final = 30
MAX_BYTES: Final = 4 * 1024 * 1024
"""Roughly: of the reports' contents as they will be encoded."""
LONGEST_PAUSE: Final = 60.0


@frozen
class _Waiting:
    report: Report
    transactions: int
    size: int


class Outbox:
    """Reports on their way through one exporter. ``put`` never blocks."""

    def __init__(self, exporter: Exporter, ledger: Ledger, wish: Callable[[float], None]) -> None:
        """
        Take an exporter into service.

        Args:
            wish: called with the seconds after which the receiver would like the next report.
        """
        self.exporter = exporter
        self.name = exporter.name
        self._ledger = ledger
        self._wish = wish
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._changed = Condition()
        self._stopping = False
        self._deadline = 0.0
        self._failures = 0
        self._said: set[str] = set()
        self._thread: Thread | None = None

    def put(self, report: Report, transactions: int) -> None:
        """Take a report; when there is no room the oldest one goes, and is counted."""
        waiting = _Waiting(report, transactions, _weight(report))
        with self._changed:
            self._queue.append(waiting)
            self._size += waiting.size
            while len(self._queue) > 1 and (len(self._queue) > MAX_REPORTS or self._size > MAX_BYTES):
                self._lose(self._queue.popleft(), "outbox full")
            if self._thread is None and not self._stopping:
                self._thread = Thread(target=self._run, name=f"scout-core-{self.name}", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self, deadline: float) -> None:
        """Send what is there until the deadline (monotonic seconds), then drop and count the rest."""
        with self._changed:
            self._stopping = True
            self._deadline = deadline
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))
        if self._thread is None or not self._thread.is_alive():
            self._drain(deadline)  # without a thread: at the end of the interpreter none can be started
        with self._changed:
            while self._queue:
                self._lose(self._queue.popleft(), "not sent before the process ended")

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    break
                waiting = self._queue[0]
            if not self._send(waiting):
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, self._pause())
        self._drain(self._deadline)

    def _drain(self, deadline: float) -> None:
        while self._queue and monotonic() < deadline:
            if not self._send(self._queue[0]):
                return

    def _send(self, waiting: _Waiting) -> bool:
        """Whether it needs not be sent again."""
        try:
            wish = self.exporter.export(waiting.report)
        except RejectedReport as error:
            self._say(error.reason, f"{error}; reports are dropped and counted")
            self._done(waiting, error.reason)
            return True
        except Exception as error:  # noqa: BLE001  # an exporter is a plugin: whatever it raises is a reason to try again
            self._failures += 1
            self._say("unreachable", f"{type(error).__name__}: {error}; reports wait and are sent again")
            return False
        self._failures = 0
        self._said.clear()
        self._done(waiting, None)
        if isinstance(wish, (int, float)) and wish > 0:
            self._wish(float(wish))
        return True

    def _done(self, waiting: _Waiting, reason: str | None) -> None:
        with self._changed:
            if not self._queue or self._queue[0] is not waiting:
                return  # it had to go while it was being sent, and is counted already
            self._queue.popleft()
            if reason is not None:
                self._lose(waiting, reason)
            else:
                self._size -= waiting.size
                self._ledger.delivered(self.name, waiting.transactions)

    def _lose(self, waiting: _Waiting, reason: str) -> None:
        self._size -= waiting.size
        self._ledger.lost(self.name, waiting.transactions, reason)

    def _pause(self) -> float:
        return min(LONGEST_PAUSE, 2.0 ** (self._failures - 1)) * random.uniform(0.75, 1.25)  # noqa: S311  # spreads load

    def _say(self, cause: str, message: str) -> None:
        if cause not in self._said:
            self._said.add(cause)
            log.info("exporter %s: %s", self.name, message)


def _weight(report: Report) -> int:
    """About how many bytes it will be: 100 a bucket of ten, 300 a span."""
    names = sum(200 + 10 * len(metrics.durations.buckets) + 80 * len(metrics.kinds) for metrics in report.transactions)
    return 500 + names + sum(500 + 300 * len(trace.spans) for trace in report.traces) + 300 * len(report.plugins)
