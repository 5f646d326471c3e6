"""The work of the agent's thread: has the transactions of the inbox evaluated, and closes each period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.boundary.guard_log import log_changes
from scout_core.boundary.hooks import RunTimeHooks
from scout_core.clocks import monotonic
from scout_core.log import Log
from scout_core.recording.overflow import MOST_BRIEFS, brief_of
from scout_core.recording.silence import Silence
from scout_core.sending.agent_thread import AgentThread
from scout_core.sending.evaluation import Evaluation
from scout_core.sending.export_guard import ExportGuard
from scout_core.sending.exporter import Exporter, import_in_steps
from scout_core.sending.ledger import INTERNAL_ERROR, Ledger, Tally
from scout_core.sending.outbox import Outbox
from scout_core.sending.period import Period
from scout_core.sending.watchdog import Watchdog
from scout_core.text.patterns import compile_all
from scout_core.threads import NoThread, breathe

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.measuring.figures import Brief
    from scout_core.measuring.process import Process
    from scout_core.measuring.report import PluginStatus
    from scout_core.recording.transaction import Transaction

log = Log("scout_core")

FOR_REPORTS: Final = (
    "scout_core.measuring.report", "scout_core.sending.traces", "scout_core.boundary.status", "scout_core.sending.weight",
)  # fmt: skip
"""Imported when the first response is out, because they take a fifth of a whole start."""
MANY: Final = 200
"""Transactions after which the thread looks again soon."""
MANY_BRIEFS: Final = 1_000
BATCH: Final = 100
FEW: Final = 5
"""The same when the process ends: the time that is left is looked at more often."""
LEAST_FOR_ON_STOP: Final = 0.1
"""Seconds for ``on_stop`` when the exporters have used up the time."""


@define(eq=False)
class Recorder:
    """Works on one thread at a time: the agent's, or in tests the one that drives it."""

    config: Config
    hooks: RunTimeHooks
    ledger: Ledger
    process: Process
    exporters: Sequence[Exporter]
    plugin_statuses: Callable[[], tuple[PluginStatus, ...]]
    guards: Callable[[], tuple[Guard, ...]]
    export_guards: Mapping[int, ExportGuard] = field(factory=dict)
    """``id`` of an exporter to its guard."""
    outboxes: list[Outbox] = field(init=False)
    evaluation: Evaluation = field(init=False)
    open_period: Period = field(init=False)
    thread: AgentThread = field(init=False)
    watchdog: Watchdog = field(init=False)
    _end_of_work: float = inf
    """Monotonic seconds after which the rest of the inbox is only counted, so that there is time to send."""
    _end_of_figures: float = inf
    """Monotonic seconds after which it is left as it is."""
    _has_failed: bool = False

    def __attrs_post_init__(self) -> None:
        self.outboxes = [
            Outbox(exporter, self.ledger, self.export_guards.get(id(exporter))) for exporter in self.exporters
        ]
        self.evaluation = Evaluation(self.config, self.hooks, self._log_failure, self._contain_failure)
        self.open_period = Period(
            self.config, self.ledger, self.evaluation, self.process, self.plugin_statuses, self._contain_failure
        )
        self.thread = AgentThread(self._turn, lambda: self._safely(self._finish), self._on_late_patch)
        self.open_period.is_over = lambda: self.thread.is_in_child
        self.watchdog = Watchdog(
            self.thread, self.ledger, lambda: self.open_period.report_state(self.outboxes), lambda: self.period
        )
        for outbox in self.outboxes:
            outbox.on_idle = lambda: self._safely(self.watchdog.look)

    def use_hooks(self, hooks: RunTimeHooks) -> None:
        """Replace all hooks: a plugin came or went, or an option changed."""
        self.hooks = hooks
        self.evaluation.use_hooks(hooks)

    def read_options(self, process: Process) -> None:
        """Read the options again, and report as this process from now on."""
        self.process = self.open_period.process = process
        self.evaluation.read_options()

    def begin(self) -> NoThread | None:
        """Start the threads, when the first transaction has ended, or the first after a late patch; return why they do not run."""
        self.open_period.begin()
        refused = self.thread.begin()
        if refused is not None:
            return refused
        for outbox in self.outboxes:
            outbox.begin()  # now, because at the end of the interpreter no thread can be started (Python >= 3.12)
        return None

    @property
    def period(self) -> float:
        """Seconds between two reports."""
        return self.open_period.seconds(self._requested_intervals)

    @property
    def _next_report(self) -> float:
        """Monotonic seconds."""
        return self.open_period.end(self._requested_intervals)

    @property
    def _requested_intervals(self) -> list[float | None]:
        return [outbox.requested_interval for outbox in self.outboxes]

    def stop(self, deadline: float, on_stop: Callable[[], None] | None = None) -> None:
        """
        Evaluate what is left, make the last report, let the exporters send, and call ``on_stop``.

        Args:
            deadline: monotonic seconds, for all of it. ``on_stop`` has ``LEAST_FOR_ON_STOP`` in any case.
        """
        now = monotonic()
        left = max(0.0, deadline - now)
        self._end_of_work = now + left / 2
        self._end_of_figures = now + left * 3 / 4
        self.thread.finish(deadline)
        for outbox in self.outboxes:
            outbox.begin()
            outbox.stop(deadline)
        for outbox in self.outboxes:
            outbox.join()
        last_step = (lambda: self._safely(on_stop)) if on_stop is not None else None
        latest = max(deadline, monotonic() + LEAST_FOR_ON_STOP)
        self.thread.end(last_step, latest, in_test=self.config.get("plugins.reraise"))

    def flush(self, deadline: float) -> None:
        """
        Close the period, and wait until its report has arrived, an exporter failed, or the deadline is over; then continue.

        Args:
            deadline: monotonic seconds.
        """
        if not self.ledger.has_any:
            return
        self.thread.flush(deadline)
        for outbox in self.outboxes:
            outbox.flush(deadline)

    def forget_thread(self) -> None:
        """In a forked child: if a hook on the agent's thread has forked, that thread ends with what it is doing."""
        self.thread.is_in_child = True

    def _on_late_patch(self) -> None:
        self.ledger.tracer.await_first()  # the next transaction starts another thread

    def _safely(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException:  # noqa: BLE001  # even sys.exit() in a plugin: without this thread nothing is recorded
            self._contain_failure("internal error in the agent's thread; it continues")

    def _turn(self) -> bool:
        """Look into the inbox, and close the period if it is over; return whether there were many transactions."""
        before = self.ledger.taken
        self._safely(
            lambda: import_in_steps(*FOR_REPORTS)
        )  # only the first call does anything, when the first response is out
        self._safely(lambda: compile_all(breathe))  # likewise
        self._safely(self._look)
        return self.ledger.taken - before > MANY

    def _look(self) -> None:
        for outbox in self.outboxes:
            outbox.begin()  # its thread could not be started, or was started before a late patch
        self.work(until=self._next_report)
        if monotonic() >= self._next_report:
            self.close_period()

    def _finish(self) -> None:
        self.work()
        if self.ledger.has_any:  # a process that recorded nothing reports nothing
            self.close_period(is_last=True)

    def work(self, until: float = inf) -> None:
        """
        Evaluate everything in the inbox.

        Args:
            until: monotonic seconds after which the rest is left: applications can be faster than this thread.
        """
        with Silence(self.ledger.tracer):
            self._log_fault()
            self._work(until)

    def _log_fault(self) -> None:
        """Log what kept a transaction from coming into the inbox."""
        fault, self.ledger.tracer.fault = self.ledger.tracer.fault, None
        if fault is not None:
            try:
                raise fault
            except Exception:  # noqa: BLE001  # of our own
                self._contain_failure("a transaction could not be recorded; further ones are only counted as dropped")

    def _work(self, until: float) -> None:
        overflow = self.ledger.tracer.overflow
        while (batch := self.ledger.take(BATCH if self._end_of_work == inf else FEW)) or overflow:
            self.ledger.tracer.read_exceptions()
            if overflow:
                self._count_overflow()
            if monotonic() < self._end_of_work:
                self._evaluate(batch)
            else:
                self._count([brief_of(transaction) for transaction in batch])
            self.ledger.names_merged = self.evaluation.choice.names_merged
            breathe()
            if monotonic() >= min(until, self._end_of_figures):
                break
        log_changes(self.guards())

    def _evaluate(self, batch: Sequence[Transaction]) -> None:
        tally = Tally()
        overflow = self.ledger.tracer.overflow
        try:
            for transaction in batch:
                if self.thread.is_in_child:
                    break
                self.evaluation.evaluate(transaction, tally)
                if len(overflow) > MANY_BRIEFS:  # a hook takes long
                    self._count_overflow()
        finally:
            self.ledger.settle(tally)

    def _count_overflow(self) -> None:
        """Count what the inbox had no room for, which takes a twentieth of the time; what comes meanwhile waits."""
        for _ in range(MOST_BRIEFS // MANY_BRIEFS):
            if briefs := self.ledger.take_briefs(MANY_BRIEFS):
                self._count(briefs)
                breathe()

    def _count(self, briefs: Sequence[Brief]) -> None:
        tally = Tally()
        try:
            self.evaluation.count(briefs, tally)
        except Exception:  # noqa: BLE001  # of our own
            self._contain_failure("transactions could not be counted; further ones are only counted as dropped")
        finally:
            for _ in range(len(briefs) - tally.transactions):
                tally.drop(INTERNAL_ERROR)
            self.ledger.settle(tally)

    def _contain_failure(self, message: str) -> None:
        """Log the exception that is being handled; raise it again in tests that run no thread."""
        if self.thread.thread is None and self.config.get("plugins.reraise"):
            raise
        self._log_failure(message)

    def _log_failure(self, message: str) -> None:
        """Log the exception that is being handled, once: the next thousand would be the same."""
        if not self._has_failed:
            self._has_failed = True
            log.error("%s", message, exc_info=True)

    def close_period(self, *, is_last: bool = False) -> None:
        """Make the report of the period that ends now, and hand it to every exporter; ``is_last`` as for ``Period.close``."""
        if self.thread.is_in_child:
            return
        self.watchdog.settle()
        with Silence(self.ledger.tracer):
            self.open_period.close(self.outboxes, is_last=is_last)
