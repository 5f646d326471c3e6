"""A bounded queue and a thread for one exporter: retries with growing pauses, and counts what it had to drop."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from threading import Condition, Thread, main_thread
from typing import TYPE_CHECKING, Final

from scout_core.clocks import monotonic
from scout_core.errors import NoReceiver, RejectedReport, with_kind
from scout_core.log import Log
from scout_core.recording.silence import Silence
from scout_core.sending.export_guard import HANGS_AFTER, ExportGuard
from scout_core.sending.exporter import Delivery, Exporter
from scout_core.sending.ledger import MAX_REASONS, NOT_SENT, Ledger
from scout_core.sending.registration import unusable_result
from scout_core.sending.turns import Waiting, next_turn
from scout_core.threads import NoThread, lock_factory, seconds_left, start_thread

if TYPE_CHECKING:
    from scout_core.measuring.report import Report

log = Log("scout_core.exporters")

MAX_REPORTS: Final = 30
MAX_BYTES: Final = 4 * 1024 * 1024
"""Roughly: of the reports' contents as they will be encoded."""
LONGEST_PAUSE: Final = 60.0
LONGEST_WAIT: Final = 0.05
"""Seconds after which a thread that waits checks again: after a late patch nothing may wake it."""
LONGEST_INTERVAL: Final = 86_400.0
LONGEST_REASON: Final = 100
"""Characters."""
IDLE: Final = 5.0  # seconds
ALWAYS_FAILS: Final = "cannot be exported"
"""Reason under which such a report is counted."""


class Outbox:
    """Reports on their way through one exporter. No method but ``flush`` and ``join`` waits for it."""

    requested_interval: float | None = None
    """Seconds between reports that the receiver requested last."""

    def __init__(self, exporter: Exporter, ledger: Ledger, guard: ExportGuard | None = None) -> None:
        self.exporter = exporter
        self.guard = guard or ExportGuard("", exporter.name, exporter)
        self.name = self.guard.name
        self._ledger = ledger
        self._queue: deque[Waiting] = deque()
        self._size = 0
        self._changed = Condition()
        self._locks_made_by = lock_factory()
        self._sending: Waiting | None = None
        """In the exporter's hands; still in the queue."""
        self._deadline: float | None = None
        """Monotonic seconds at which the last attempts must end; None until it is to stop."""
        self._must_hurry = False
        """``flush`` waits, so the next attempt is made at once."""
        self._failures = 0
        """In a row, of any report."""
        self._has_delivered = False
        """The last attempt was successful."""
        self._logged: set[str] = set()
        self._thread: Thread | None = None
        self.on_idle: Callable[[], None] = lambda: None  # every few seconds without anything to send; must not raise

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
            started = start_thread(self._run, f"scout-core-{self.name}", self._keep)
            if (
                isinstance(started, NoThread) and self._queue
            ):  # expected at the end of the interpreter, of Python 3.12.0 and 3.12.1
                message = f"{_format_error(started.error)}; reports wait"
                self._log_once("thread", message, is_expected=not main_thread().is_alive())

    def _keep(self, thread: Thread | None) -> None:
        self._thread = thread

    def put(self, report: Report, transactions: int) -> None:
        """Take a report; when there is no room the oldest one goes, and is counted."""
        report, size = self._limited(report)
        waiting = Waiting(report, transactions, size)
        with self._changed:
            self._size += waiting.size
            if self._deadline is not None:  # of a thread that had been given up, and continued
                self._lose(waiting, NOT_SENT)
                return
            self._queue.append(waiting)
            while self._is_too_full() and (oldest := self._oldest_to_drop(waiting)) is not None:
                self._queue.remove(oldest)
                self._lose(oldest, "outbox full")
            if self.guard.seconds_busy > HANGS_AFTER:
                self._log_once("hangs", str(self.guard.problem))
            self._changed.notify()
        self.begin()

    def _limited(self, report: Report) -> tuple[Report, int]:
        """Return the report, or what fits of it, and its size: a single one must not take more memory than all may."""
        from scout_core.sending.weight import weigh  # with the first report

        size = weigh(report)
        if size <= MAX_BYTES:
            return report, size
        from scout_core.sending.fitting import fit

        smaller = fit(report, MAX_BYTES, weigh)
        self._note_left_out(smaller.left_out)
        return smaller, weigh(smaller)

    def _note_left_out(self, parts: Mapping[str, int]) -> None:
        if parts:
            self._ledger.leave_out(self.name, parts)
            if "left out" not in self.guard.logged:  # once, not again after each success
                self.guard.logged.add("left out")
                text = ", ".join(f"{part}: {count}" for part, count in parts.items())
                self._log_once(
                    "left out", f"a report was too large, and parts of it left out ({text}); its figures are complete"
                )

    def stop(self, deadline: float) -> None:
        """Send what is there until the deadline (monotonic seconds); at once, whatever pause there was."""
        with self._changed:
            self._deadline = deadline
            self._changed.notify()

    def flush(self, deadline: float) -> None:
        """Wait until everything is sent, an attempt has failed, or the deadline is over (monotonic seconds)."""
        self.begin()
        with self._changed:
            self._must_hurry = True
            self._changed.notify()
        while self._queue and self._must_hurry and (left := deadline - monotonic()) > 0:
            with self._changed:
                self._changed.wait(min(left, LONGEST_WAIT))

    def join(self) -> None:
        """After ``stop``: wait until everything is sent or the deadline is over, then drop and count the rest."""
        deadline = self._deadline or 0.0
        if self._thread is not None:
            self._thread.join(seconds_left(deadline))
        with self._changed:
            while self._queue:
                self._lose(self._queue.popleft(), NOT_SENT)

    def _run(self) -> None:
        locks_made_by = self._locks_made_by
        while True:
            with self._changed:
                is_idle = not self._changed.wait_for(
                    lambda: self._queue or self._deadline is not None or locks_made_by is not lock_factory(), IDLE
                )
            if is_idle:
                self.on_idle()
                continue
            with self._changed:
                is_patched = locks_made_by is not lock_factory()
                if is_patched and self._deadline is None and (not self._queue or self._failures):
                    self._thread = None  # the next ``begin`` starts another one
                    return
                if not self._queue or (self._deadline is not None and monotonic() >= self._deadline):
                    return
                waiting = self._sending = next_turn(self._queue, has_delivered=self._has_delivered)
            is_over = self._send(waiting)
            with self._changed:
                self._sending = None
                self._changed.notify_all()
                if is_over:
                    continue
                self._must_hurry = False
                if self._deadline is not None:
                    return
                self._changed.wait_for(
                    lambda: self._deadline is not None or self._must_hurry or locks_made_by is not lock_factory(),
                    pause_after(self._failures),
                )

    def _send(self, waiting: Waiting) -> bool:
        """Send it; return whether it is done with, and need not be sent again."""
        guard = self.guard
        has_delivered, self._has_delivered = self._has_delivered, False
        guard.enter()
        try:
            with Silence(self._ledger.tracer):  # an exporter that records would have something to export forever
                result = self.exporter.export(waiting.report)
            problem = unusable_result(result)
            if problem:
                raise RejectedReport(problem, "export did not run")
        except NoReceiver as error:
            guard.succeed()
            self._reject(waiting, error, is_expected=True)
            return True
        except RejectedReport as error:
            guard.note(error)
            self._reject(waiting, error)
            return True
        except BaseException as error:  # noqa: BLE001  # sys.exit() in an exporter, too, must not end our thread
            guard.note(error)
            waiting.note_failure(is_after_delivery=has_delivered)
            self._failures += 1
            self._log_once("unreachable", f"{self._last_error}; reports wait and are sent again")
            if not waiting.is_proved_bad:
                return False
            self._log_once("poison", f"report {waiting.report.id} is dropped and counted: it fails while others arrive")
            self._done(waiting, ALWAYS_FAILS)
            return True
        guard.succeed()
        self._has_delivered = True
        self._failures = 0
        self._logged.clear()
        self._done(waiting, None)
        if isinstance(result, Delivery):
            self._note_left_out(result.left_out)
        interval = result.next_report if isinstance(result, Delivery) else result
        if isinstance(interval, (int, float)) and 0 < interval < LONGEST_INTERVAL:
            self.requested_interval = float(interval)
        return True

    def _reject(self, waiting: Waiting, error: RejectedReport, *, is_expected: bool = False) -> None:
        reason = _format_error(getattr(error, "reason", "rejected"))[:LONGEST_REASON]
        self._failures = 0
        message = f"{_format_error(error)}; reports are dropped and counted"
        self._log_once(reason, message, is_expected=is_expected)
        self._done(waiting, reason)

    def _done(self, waiting: Waiting, reason: str | None) -> None:
        with self._changed:
            if waiting not in self._queue:
                return  # the deadline was over before it arrived, so it is counted already
            self._queue.remove(waiting)
            if reason is not None:
                self._lose(waiting, reason)
                return
            self._size -= waiting.size
            self._ledger.delivered(self.name, waiting.transactions)
            for other in self._queue:
                other.allow_another_attempt()  # the receiver is reachable

    def _lose(self, waiting: Waiting, reason: str) -> None:
        self._size -= waiting.size
        self._ledger.lost(self.name, waiting.transactions, reason)

    def _oldest_to_drop(self, newest: Waiting) -> Waiting | None:
        """The oldest that is neither being sent nor the newest."""
        return next((waiting for waiting in self._queue if waiting not in (self._sending, newest)), None)

    def _is_too_full(self) -> bool:
        return len(self._queue) > MAX_REPORTS or self._size > MAX_BYTES

    @property
    def _last_error(self) -> str:
        last = self.guard.failures.last
        return "" if last is None else with_kind(last.kind, last.message)

    def _log_once(self, cause: str, message: str, *, is_expected: bool = False) -> None:
        if cause in self._logged or len(self._logged) >= MAX_REASONS:
            return
        self._logged.add(cause)
        owner = f" of plugin {self.guard.plugin!r}" if self.guard.plugin else ""
        (log.info if is_expected else log.warning)("exporter %s%s: %s", self.name, owner, message)


def pause_after(failures: int) -> float:
    """Seconds to wait before the next attempt: 1, 2, 4 … 60, each a quarter more or less so that senders spread out."""
    return min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 16)) * random.uniform(0.75, 1.25)  # noqa: S311  # no secret


def _format_error(anything: object) -> str:
    try:
        return str(anything)
    except Exception:  # noqa: BLE001  # a plugin's exception can fail even at that
        return "<unprintable exception>"
