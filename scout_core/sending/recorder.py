"""The work of the agent's thread: has the transactions of the inbox evaluated, and closes each period."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import RunTimeHooks
from scout_core.clocks import monotonic
from scout_core.recording.safety.silence import Silence
from scout_core.sending.agent_thread import AgentThread
from scout_core.sending.evaluation import Evaluation
from scout_core.sending.export_guard import ExportGuard
from scout_core.sending.exporter import Exporter, import_in_steps
from scout_core.sending.faults import Faults
from scout_core.sending.inbox import Inbox
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import Outbox
from scout_core.sending.period import Period
from scout_core.sending.watchdog import Watchdog
from scout_core.signals import is_from_signal_handler
from scout_core.text.patterns import compile_all
from scout_core.threads import NoThread, breathe

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.measuring.process import Process
    from scout_core.measuring.report import PluginStatus

FOR_REPORTS: Final = (
    "scout_core.measuring.report", "scout_core.sending.traces", "scout_core.boundary.status", "scout_core.sending.weight",
    "scout_core.measuring.error_figures", "scout_core.recording.repeated",
)  # fmt: skip
"""Imported when the first response is out, because they take a fifth of a whole start."""
MANY: Final = 200
"""Transactions after which the thread looks again soon."""
LEAST_FOR_ON_STOP: Final = 0.1
"""Seconds for ``on_stop`` when the exporters have used up the time."""
LEAST_TO_STOP: Final = 0.5
"""Seconds until ``on_stop`` has returned, however short the deadline: a busy machine may need them to make the last report."""
_FAULT: Final = "internal error in the agent's thread; it continues"


class Recorder:
    """Works on one thread at a time: the agent's, or in tests the one that drives it."""

    def __init__(
        self,
        *,
        config: Config,
        hooks: RunTimeHooks,
        ledger: Ledger,
        process: Process,
        exporters: Sequence[Exporter],
        plugin_statuses: Callable[[], tuple[PluginStatus, ...]],
        guards: Callable[[], Iterable[Guard]],
        export_guards: Mapping[int, ExportGuard],
    ) -> None:
        """Make all parts; ``export_guards`` has the ``id`` of each exporter that a plugin registered."""
        self._config = config
        self._ledger = ledger
        self._is_stopping = False
        self._last_work = 0.0
        """Monotonic seconds."""
        self.hand_over: Callable[[bytes], bool] | None = None
        """Gives what this process has recorded to its parent, if that sends it; returns whether it will. See ``handing.py``."""
        self.faults = Faults(lambda: self.thread.thread is None and config.get("plugins.reraise"))
        self.thread = AgentThread(
            self._turn, lambda: self.faults.safely(self._finish), self._start_again, lambda: self.faults.log(_FAULT)
        )
        self.evaluation = Evaluation(config, hooks, self.faults.log, self.faults.contain)
        self.inbox = Inbox(ledger, self.evaluation, self.faults, guards, self._is_in_child)
        self.open_period = Period(
            config, ledger, self.evaluation, process, plugin_statuses, self.faults.contain, self._is_in_child
        )
        self.outboxes = [
            Outbox(
                exporter,
                ledger,
                export_guards.get(id(exporter)),
                on_idle=lambda: self.faults.safely(self.watchdog.look),
                on_fault=lambda: self.faults.log(_FAULT),
            )
            for exporter in exporters
        ]
        self.watchdog = Watchdog(
            self.thread, ledger, lambda: self.open_period.report_state(self.outboxes), lambda: self.period
        )

    def use_hooks(self, hooks: RunTimeHooks) -> None:
        """Replace all hooks: a plugin came or went, or an option changed."""
        self.evaluation.use_hooks(hooks)

    def read_options(self, process: Process) -> None:
        """Read the options again, and report as this process from now on."""
        self.open_period.process = process
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
    def _requested_intervals(self) -> list[float | None]:
        return [outbox.requested_interval for outbox in self.outboxes]

    def stop(self, deadline: float, on_stop: Callable[[], None] | None = None) -> None:
        """
        Evaluate what is left, make the last report, let the exporters send, and call ``on_stop``.

        Args:
            deadline: monotonic seconds, for all of it. With ``on_stop`` it may take ``LEAST_TO_STOP``, and ``LEAST_FOR_ON_STOP`` longer.
        """
        began = monotonic()
        self._is_stopping = True
        if self._has_handed_over():
            return
        self.inbox.hurry(deadline)
        self.thread.finish(deadline)
        for outbox in self.outboxes:
            outbox.begin()
            outbox.stop(deadline)
        for outbox in self.outboxes:
            outbox.join()
        self._ledger.count_open()  # if there was no time for the last report
        last_step = (lambda: self.faults.safely(on_stop)) if on_stop is not None else None
        latest = max(deadline, began + LEAST_TO_STOP, monotonic() + LEAST_FOR_ON_STOP)
        self.thread.end(last_step, latest, in_test=self._config.get("plugins.reraise"))

    def flush(self, deadline: float) -> None:
        """
        Close the period, and wait until its report has arrived, an exporter failed, or the deadline is over; then continue.

        Args:
            deadline: monotonic seconds.
        """
        if not self._ledger.has_any or self._has_handed_over():
            return
        self.thread.flush(deadline)
        for outbox in self.outboxes:
            outbox.flush(deadline)

    def receive(self, packed: bytes) -> None:
        """Record what a child has handed over."""
        from scout_core.sending.handing import unpack

        try:
            unpack(packed, self._ledger.tracer)
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            self._ledger.tracer.failed += 1
            self.faults.contain("what a child process has recorded is lost")

    def _has_handed_over(self) -> bool:
        """Whether everything is in the hands of the parent now; otherwise this process sends from now on."""
        if self.hand_over is None:
            return False
        from scout_core.sending.handing import forget, pack

        try:
            packed = pack(self._ledger.tracer)
            if not packed or self.hand_over(packed):
                forget(self._ledger.tracer)
                return True
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            self.faults.contain("this process sends what it has recorded, because its parent cannot")
        self.hand_over = None
        self.begin()
        return False

    def forget_thread(self) -> None:
        """In a forked child: if a hook on the agent's thread has forked, that thread ends with what it is doing."""
        self.thread.is_in_child = True

    def _is_in_child(self) -> bool:
        return self.thread.is_in_child

    def _start_again(self) -> None:
        self._ledger.tracer.await_first()  # the next transaction starts another thread

    def _turn(self) -> bool:
        """Look into the inbox, and close the period if it is over; return whether there were many transactions."""
        before = self._ledger.taken
        for step in (_import_for_reports, _compile_patterns, self._look):
            self.faults.safely(step)
        return self._ledger.taken - before > MANY

    def _look(self) -> None:
        for outbox in self.outboxes:
            outbox.begin()  # its thread could not be started, was started before a late patch, or ended by a fault
        before = self._ledger.taken
        self.work(until=self.open_period.end(self._requested_intervals))
        if self._ledger.taken != before:
            self._last_work = monotonic()
        if self.open_period.is_over(self._requested_intervals, self._last_work):
            self.close_period()

    def _finish(self) -> None:
        self.work()
        if self._is_stopping:
            self._ledger.count_open()
        if self._ledger.has_any:  # a process that recorded nothing reports nothing
            self.close_period(is_last=True)

    def work(self, until: float = inf) -> None:
        """Evaluate everything in the inbox; ``until`` as for ``Inbox.work``."""
        self.inbox.work(until)

    def close_period(self, *, is_last: bool = False) -> None:
        """Make the report of the period that ends now, and hand it to every exporter; ``is_last`` as for ``Period.close``."""
        if self.thread.is_in_child:
            return
        self.watchdog.settle()
        _import_for_reports()  # a flush may come before the first turn
        with Silence(self._ledger.tracer):
            self.open_period.close(self.outboxes, is_last=is_last)


def _import_for_reports() -> None:
    """Only the first call does anything, when the first response is out."""
    import_in_steps(*FOR_REPORTS)


def _compile_patterns() -> None:
    """Likewise."""
    compile_all(breathe)
