"""A bounded queue and a thread for one exporter: retries with growing pauses, and counts what it had to drop."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from threading import Condition, Thread, main_thread
from typing import TYPE_CHECKING, Final

from scout_core.clocks import monotonic
from scout_core.fork_lock import importing
from scout_core.log import Log, LogOnce
from scout_core.sending.attempt import Outcome, attempt
from scout_core.sending.export_guard import HANGS_AFTER, ExportGuard
from scout_core.sending.exporter import Exporter
from scout_core.sending.ledger import INTERNAL_ERROR, NOT_SENT, Ledger
from scout_core.sending.loops import contained, repeat
from scout_core.sending.report_queue import MAX_BYTES, ReportQueue, Waiting
from scout_core.threads import NoThread, lock_factory, seconds_left, start_thread

if TYPE_CHECKING:
    from scout_core.measuring.report import Report

log = Log("scout_core.exporters")

LONGEST_PAUSE: Final = 60.0
LONGEST_WAIT: Final = 0.05
"""Seconds after which a thread that waits checks again: after a late patch nothing may wake it."""
IDLE: Final = 5.0  # seconds
MOST_FAULTS: Final = 3
"""Faults of our own while one report is sent, after which it is dropped."""
ALWAYS_FAILS: Final = "cannot be exported"
"""Reason under which such a report is counted."""


class Outbox:
    """
    Reports on their way through one exporter. No method but ``flush`` and ``join`` waits for it.

    Args:
        on_idle: called every few seconds without anything to send. Raises nothing.
        on_fault: called while the exception of one of our faults is being handled; the thread continues.
    """

    requested_interval: float | None = None
    """Seconds between reports that the receiver requested last."""

    def __init__(
        self,
        exporter: Exporter,
        ledger: Ledger,
        guard: ExportGuard | None = None,
        *,
        on_idle: Callable[[], object] = lambda: None,
        on_fault: Callable[[], object] = lambda: None,
    ) -> None:
        self.exporter = exporter
        self.guard = guard or ExportGuard("", exporter.name, exporter)
        self.name = self.guard.name
        self._ledger = ledger
        self._on_idle = on_idle
        self._on_fault = on_fault
        self._queue = ReportQueue()
        self._changed = Condition()
        self._locks_made_by = lock_factory()
        self._deadline: float | None = None
        """Monotonic seconds at which the last attempts must end; None until it is to stop."""
        self._must_hurry = False
        """``flush`` waits, so the next attempt is made at once."""
        self._failures = 0
        """In a row, of any report."""
        self._has_delivered = False
        """The last attempt was successful."""
        self._logged = LogOnce(log)
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
            started = start_thread(contained(self._run, self._give_up), f"scout-core-{self.name}", self._keep)
            if (
                isinstance(started, NoThread) and self._queue
            ):  # expected at the end of the interpreter, of Python 3.12.0 and 3.12.1
                message = f"{started.error}; reports wait"
                self._warn("thread", message, is_expected=not main_thread().is_alive())

    def _keep(self, thread: Thread | None) -> None:
        self._thread = thread

    def put(self, report: Report, transactions: int) -> None:
        """Take a report; when there is no room the oldest one goes, and is counted."""
        report, size = self._limited(report)
        waiting = Waiting(report, transactions, size)
        with self._changed:
            if self._deadline is not None:  # of a thread that had been given up, and continued
                self._lose(waiting, NOT_SENT)
                return
            for oldest in self._queue.add(waiting):
                self._lose(oldest, "outbox full")
            if self.guard.seconds_busy > HANGS_AFTER:
                self._warn("hangs", str(self.guard.problem))
            self._changed.notify()
        self.begin()

    def _limited(self, report: Report) -> tuple[Report, int]:
        """Return the report, or what fits of it, and its size: a single one must not take more memory than all may."""
        with importing:  # with the first report
            from scout_core.sending.weight import weigh

        size = weigh(report)
        if size <= MAX_BYTES:
            return report, size
        with importing:
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
                self._warn(
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
            for waiting in self._queue.take_all():
                self._lose(waiting, NOT_SENT)

    def _run(self) -> None:
        locks_made_by = self._locks_made_by
        repeat(lambda: self._round(locks_made_by), self._note_fault)

    def _round(self, locks_made_by: object) -> bool:
        """Wait for a report, and make one attempt to send one; return whether there is another round."""
        with self._changed:
            is_idle = not self._changed.wait_for(
                lambda: self._queue or self._deadline is not None or locks_made_by is not lock_factory(), IDLE
            )
        if is_idle:
            self._on_idle()
            return True
        with self._changed:
            is_patched = locks_made_by is not lock_factory()
            if is_patched and self._deadline is None and (not self._queue or self._failures):
                self._thread = None  # the next ``begin`` starts another one
                return False
            if not self._queue or (self._deadline is not None and monotonic() >= self._deadline):
                return False
            waiting = self._queue.choose(has_delivered=self._has_delivered)
        is_over = self._send(waiting)
        with self._changed:
            self._queue.sending = None
            self._changed.notify_all()
            if is_over:
                return True
            self._must_hurry = False
            if self._deadline is not None:
                return False
        self._pause(locks_made_by)
        return True

    def _pause(self, locks_made_by: object) -> None:
        """Wait before the next attempt, and look now and then: a hook may hang while no exporter is reached."""
        until = monotonic() + pause_after(self._failures)
        while (left := until - monotonic()) > 0:
            with self._changed:
                if self._changed.wait_for(
                    lambda: self._deadline is not None or self._must_hurry or locks_made_by is not lock_factory(),
                    min(left, IDLE),
                ):
                    return
            self._on_idle()

    def _note_fault(self) -> None:
        """Go on after a fault of our own; a report in which it repeats is dropped, because the others would wait forever."""
        waiting, self._queue.sending = self._queue.sending, None
        self._on_fault()
        if waiting is not None:
            waiting.faults += 1
            if waiting.faults >= MOST_FAULTS:
                self._done(waiting, INTERNAL_ERROR)

    def _give_up(self) -> None:
        """End because of a fault outside of a round; the next ``begin`` starts another thread."""
        self._thread = None
        self._on_fault()

    def _send(self, waiting: Waiting) -> bool:
        """Send it; return whether it is done with, and need not be sent again."""
        is_after_delivery, self._has_delivered = self._has_delivered, False
        outcome = attempt(self.guard, waiting.report, self._ledger.tracer)
        if outcome.has_arrived:
            self._note_arrival(waiting, outcome)
            return True
        if outcome.reason is not None:
            self._failures = 0
            message = f"{outcome.error}; reports are dropped and counted"
            self._warn(outcome.reason, message, is_expected=outcome.is_expected)
            self._done(waiting, outcome.reason)
            return True
        waiting.note_failure(is_after_delivery=is_after_delivery)
        self._failures += 1
        self._warn("unreachable", f"{outcome.error}; reports wait and are sent again")
        if not waiting.is_proved_bad:
            return False
        self._warn("poison", f"report {waiting.report.id} is dropped and counted: it fails while others arrive")
        self._done(waiting, ALWAYS_FAILS)
        return True

    def _note_arrival(self, waiting: Waiting, outcome: Outcome) -> None:
        self._has_delivered = True
        self._failures = 0
        self._logged.forget()
        self._done(waiting, None)
        self._note_left_out(outcome.left_out)
        if outcome.requested_interval is not None:
            self.requested_interval = outcome.requested_interval

    def _done(self, waiting: Waiting, reason: str | None) -> None:
        with self._changed:
            if waiting not in self._queue:
                return  # the deadline was over before it arrived, so it is counted already
            if reason is None:
                self._ledger.delivered(self.name, waiting.transactions)
                self._queue.allow_another_attempt()
            else:
                self._lose(waiting, reason)
            self._queue.remove(waiting)

    def _lose(self, waiting: Waiting, reason: str) -> None:
        self._ledger.lost(self.name, waiting.transactions, reason)

    def _warn(self, cause: str, message: str, *, is_expected: bool = False) -> None:
        owner = f" of plugin {self.guard.plugin!r}" if self.guard.plugin else ""
        self._logged.warning(cause, "exporter %s%s: %s", self.name, owner, message, is_expected=is_expected)


def pause_after(failures: int) -> float:
    """Seconds to wait before the next attempt: 1, 2, 4 … 60, each a quarter more or less so that senders spread out."""
    return min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 16)) * random.uniform(0.75, 1.25)  # noqa: S311  # no secret
