"""The agent's thread: has the transactions of the inbox evaluated, and makes the report of each period."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.boundary.busy import busy_part, wait_until
from scout_core.boundary.guard import Guard
from scout_core.boundary.guard_log import log_changes
from scout_core.boundary.hooks import RunTimeHooks
from scout_core.clocks import monotonic, time
from scout_core.log import Log
from scout_core.measuring.report import PluginStatus, Process, Report, Trace
from scout_core.recording.silence import Silence
from scout_core.recording.transaction import release
from scout_core.sending.evaluation import Evaluation
from scout_core.sending.exporter import Exporter
from scout_core.sending.ledger import Ledger, Tally
from scout_core.sending.outbox import Outbox
from scout_core.sending.traces import trace_of
from scout_core.text.patterns import compile_all
from scout_core.threads import NoThread, lock_factory, start_thread

if TYPE_CHECKING:
    from scout_core.config.config import Config

log = Log("scout_core")

TICK: Final = 0.25
"""Seconds between two looks into the inbox. Nobody wakes this thread: waking costs the application's thread more than the append."""
BUSY_TICK: Final = 0.05
"""The same after a look that found many: what waits is memory of the application's process."""
MANY: Final = 200
FIRST_PERIOD: Final = 5.0
"""The first report comes early, so that a new user need not wait a minute to see that it works."""
SHORTEST_PERIOD: Final = 1.0
"""Seconds. Receivers do not get reports more often, whatever they request."""
BATCH: Final = 100
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
    outboxes: list[Outbox] = field(init=False)
    evaluation: Evaluation = field(init=False)
    _period_start: float = field(factory=time)
    _period_start_monotonic: float = inf
    _reports: int = 0
    _stopping: Event = field(factory=Event)
    _finished: Event = field(factory=Event)
    """Set when the last report has been handed over."""
    _may_end: Event = field(factory=Event)
    """Set when the exporters have had their time."""
    _last_step: Callable[[], None] = lambda: None
    """The last step of the thread."""
    _locks_made_by: object = field(factory=lock_factory)
    _end_of_work: float = inf
    """Monotonic seconds after which the inbox is left as it is, so that there is time to send what was counted."""
    _thread: Thread | None = None
    _has_failed: bool = False
    _is_in_child: bool = False

    def __attrs_post_init__(self) -> None:
        self.outboxes = [Outbox(exporter, self.ledger) for exporter in self.exporters]
        self.evaluation = Evaluation(self.config, self.hooks, self._log_failure, self._contain_failure)

    def use_hooks(self, hooks: RunTimeHooks) -> None:
        """Replace all hooks: a plugin came or went, or an option changed."""
        self.hooks = self.evaluation.hooks = hooks

    def read_options(self, process: Process) -> None:
        """Read the options again, and report as this process from now on."""
        self.process = process
        self.evaluation.read_options()

    def begin(self) -> NoThread | None:
        """Start the threads, when the first transaction has ended, or the first after a late patch; return why they do not run."""
        if self._locks_made_by is not lock_factory():
            self._locks_made_by = lock_factory()
            self._stopping, self._finished, self._may_end = Event(), Event(), Event()
        if self._period_start_monotonic == inf:
            self._period_start = time()
            self._period_start_monotonic = monotonic()
        thread = start_thread(self._run, "scout-core")
        if isinstance(thread, NoThread):
            return thread
        self._thread = thread
        for outbox in self.outboxes:
            outbox.begin()  # now, because at the end of the interpreter no thread can be started (Python >= 3.12)
        return None

    @property
    def period(self) -> float:
        """Seconds between two reports: what the user chose, or the shortest of the default and what receivers request."""
        chosen = float(self.config.get("report_period"))
        if self.config.is_set("report_period"):
            return chosen
        requested = [outbox.requested_interval for outbox in self.outboxes]
        return min([chosen, *(max(SHORTEST_PERIOD, seconds) for seconds in requested if seconds is not None)])

    @property
    def _next_report(self) -> float:
        """Monotonic seconds."""
        return self._period_start_monotonic + (self.period if self._reports else min(FIRST_PERIOD, self.period))

    def stop(self, deadline: float, on_stop: Callable[[], None] | None = None) -> None:
        """
        Evaluate what is left, make the last report, let the exporters send, and call ``on_stop``.

        Args:
            deadline: monotonic seconds, for all of it. ``on_stop`` has ``LEAST_FOR_ON_STOP`` in any case.
        """
        now = monotonic()
        self._end_of_work = now + max(0.0, deadline - now) / 2
        self._stopping.set()
        if self._thread is None:
            self._safely(self._finish)
        else:
            # It finishes on its own thread: whatever a plugin does, the application waits until the deadline at most.
            if not wait_until(self._finished, deadline) and deadline > now:
                log.warning("%s did not return in time; the last period is lost", busy_part(self._thread))
        for outbox in self.outboxes:
            outbox.begin()
            outbox.stop(deadline)
        for outbox in self.outboxes:
            outbox.join()
        self._end_thread(on_stop, max(deadline, monotonic() + LEAST_FOR_ON_STOP))

    def _end_thread(self, on_stop: Callable[[], None] | None, deadline: float) -> None:
        """Call ``on_stop`` on the agent's thread, or on another one if it was never started; wait until the deadline."""
        has_ended = Event()

        def last_step() -> None:
            if on_stop is not None:
                self._safely(on_stop)
            has_ended.set()

        thread: Thread | NoThread | None = self._thread
        if isinstance(thread, Thread):
            if not wait_until(self._finished, deadline):
                self._may_end.set()  # when it returns from the plugin, which was logged
                return
            self._last_step = last_step
            self._may_end.set()
        elif on_stop is None:
            return
        else:
            in_test = self.config.get("plugins.reraise")
            thread = None if in_test else start_thread(last_step, "scout-core")
            if not isinstance(thread, Thread):  # the interpreter is ending (Python >= 3.12)
                self._safely(on_stop)
                return
        if wait_until(has_ended, deadline):
            thread.join(max(0.0, deadline - monotonic()))
        elif on_stop is not None:
            log.warning("%s did not return in time; the process does not wait for it", busy_part(thread))

    def _run(self) -> None:
        pause = BUSY_TICK
        locks_made_by = self._locks_made_by
        while not self._stopping.wait(pause):
            if self._is_in_child:
                return
            if locks_made_by is not lock_factory():
                self._hand_over()
                return
            before = self.ledger.taken
            self._safely(compile_all)  # only the first call does anything, when the first response is out
            self._safely(self._turn)
            pause = BUSY_TICK if self.ledger.taken - before > MANY else TICK
        if self._is_in_child:
            return
        self._safely(self._finish)
        self._finished.set()
        self._may_end.wait()
        self._last_step()

    def forget_thread(self) -> None:
        """In a forked child: if a hook on the agent's thread has forked, that thread ends with what it is doing."""
        self._is_in_child = True

    def _hand_over(self) -> None:
        """End this thread, because threads were patched since it was started; the next transaction starts another one."""
        self._thread = None
        self.ledger.tracer.has_started = False

    def _safely(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException:  # noqa: BLE001  # even sys.exit() in a plugin: without this thread nothing is recorded
            self._contain_failure("the agent's thread goes on after an error of its own")

    def _turn(self) -> None:
        for outbox in self.outboxes:
            outbox.begin()  # its thread could not be started, or was started before a late patch
        self.work(until=self._next_report)
        if monotonic() >= self._next_report:
            self.close_period()

    def _finish(self) -> None:
        self.work()
        if self.ledger.has_any:  # a process that recorded nothing reports nothing
            self.close_period()

    def work(self, until: float = inf) -> None:
        """
        Evaluate everything in the inbox.

        Args:
            until: monotonic seconds after which the rest is left: applications can be faster than this thread.
        """
        with Silence(self.ledger.tracer):
            self._work(until)

    def _work(self, until: float) -> None:
        while batch := self.ledger.take(BATCH):
            self.ledger.tracer.read_exceptions()
            tally = Tally()
            try:
                for transaction in batch:
                    if self._is_in_child:
                        break
                    self.evaluation.evaluate(transaction, tally)
            finally:
                self.ledger.settle(tally)
                self.ledger.names_merged = self.evaluation.choice.names_merged
            if monotonic() >= min(until, self._end_of_work):
                break
        log_changes(self.guards())

    def _contain_failure(self, message: str) -> None:
        """Log the exception that is being handled; raise it again in tests that run no thread."""
        if self._thread is None and self.config.get("plugins.reraise"):
            raise
        self._log_failure(message)

    def _log_failure(self, message: str) -> None:
        """Log the exception that is being handled, once: the next thousand would be the same."""
        if not self._has_failed:
            self._has_failed = True
            log.error("%s", message, exc_info=True)

    def close_period(self) -> None:
        """Make the report of the period that ends now, and hand it to every exporter."""
        with Silence(self.ledger.tracer):
            self._close_period()

    def _close_period(self) -> None:
        self._period_start_monotonic = monotonic()
        names = [outbox.name for outbox in self.outboxes]
        counters = {name: self.ledger.counters(name) for name in names} or {"": self.ledger.counters()}
        plugins = self.plugin_statuses()
        traces = tuple(self._traces())
        now = time()
        self._reports += 1
        report = Report(
            id=f"{self.process.instance}-{self._reports}",
            process=self.process,
            start=min(self._period_start, now),  # a clock that was set back must not make time negative
            end=now,
            transactions=self.evaluation.choice.take_metrics(),
            traces=traces,
            plugins=plugins,
            counters=counters,
        )
        self._period_start = now
        for guard in self.hooks.on_report:
            guard.run(report)
        count = self.ledger.close_period(names)
        for outbox in self.outboxes:
            outbox.put(report, count)

    def _traces(self) -> Iterator[Trace]:
        for item in self.evaluation.choice.take_kept():
            try:
                trace, lost = trace_of(item)
            except Exception:  # noqa: BLE001  # applications and plugins put anything into a transaction
                self._contain_failure("a trace could not be made of a transaction; the others are sent")
                self.ledger.traces_lost += 1
                continue
            self.ledger.tags_dropped += lost
            for guard in self.hooks.on_keep:
                guard.run(item.item, item.score)
            release(item.item)
            yield trace
