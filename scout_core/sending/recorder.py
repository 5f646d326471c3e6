"""The agent's thread: takes finished transactions from the inbox, decides on each, and makes the report of each period."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from math import inf
from threading import Event, Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.boundary.guard_log import log_changes
from scout_core.boundary.hooks import RunTimeHooks
from scout_core.measuring.report import PluginStatus, Process, Report, Trace
from scout_core.recording.tracer import IGNORED, SAMPLED
from scout_core.recording.transaction import Transaction, release
from scout_core.sending.choice import Choice
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import Outbox
from scout_core.sending.request_facts import RequestFacts
from scout_core.sending.traces import error_of, trace_of
from scout_core.text.patterns import compile_all

if TYPE_CHECKING:
    from scout_core.config.config import Config

log = logging.getLogger("scout_core")

TICK: Final = 0.25
"""Seconds between two looks into the inbox. Nobody wakes this thread: waking costs the application's thread more than the append."""
BUSY_TICK: Final = 0.05
"""The same after a look that found many: what waits is memory of the application's process."""
MANY: Final = 200
FIRST_PERIOD: Final = 5.0
"""The first report comes early, so that a new user need not wait a minute to see that it works."""
SHORTEST_PERIOD: Final = 1.0
"""Seconds. Receivers do not get reports more often, whatever they wish."""
BATCH: Final = 100


@define(eq=False)
class Recorder:
    """What happens after a transaction has ended. All methods but ``wish`` run on one thread at a time."""

    config: Config
    hooks: RunTimeHooks
    ledger: Ledger
    process: Process
    plugin_statuses: Callable[[], tuple[PluginStatus, ...]]
    guards: Callable[[], tuple[Guard, ...]]
    outboxes: list[Outbox] = field(factory=list)
    _wishes: dict[str, float] = field(factory=dict)
    """Exporter to the seconds between reports that its receiver would like."""
    _period_start: float = field(factory=time)
    _next_report: float = inf
    _reports: int = 0
    _stopping: Event = field(factory=Event)
    _end_of_work: float = inf
    """When to leave the inbox as it is, so that there is time to send what was counted."""
    _thread: Thread | None = None
    _has_failed: bool = False
    choice: Choice = field(init=False)
    _request_facts: RequestFacts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.choice = Choice(self.config)
        self.read_options()

    def read_options(self) -> None:
        """Take what the configuration says now; what is done already stays as it is."""
        self.choice.read_options()
        self._request_facts = RequestFacts(self.config, self._report_incomplete)

    def _report_incomplete(self) -> None:
        self._log_failure("a transaction is counted without the facts of its request or queue")

    def begin(self) -> bool:
        """Start the threads: the first transaction has ended. Whether they run."""
        self._period_start = time()
        self._next_report = monotonic() + min(FIRST_PERIOD, self.period)
        thread = Thread(target=self._run, name="scout-core", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are too many, or the interpreter ends; the application must not hear of it
            return False
        self._thread = thread
        for outbox in self.outboxes:
            outbox.begin()  # now, because at the end of the interpreter no thread can be started (Python >= 3.12)
        return True

    @property
    def period(self) -> float:
        """Seconds between two reports: what the user chose, else the shortest of the default and what receivers wish."""
        chosen = float(self.config.get("report_period"))
        if self.config.is_set("report_period"):
            return chosen
        return min([chosen, *(max(SHORTEST_PERIOD, seconds) for seconds in self._wishes.copy().values())])

    def wish(self, exporter: str, seconds: float) -> None:
        """A receiver would like reports so often. On the exporter's thread."""
        self._wishes[exporter] = seconds
        self._next_report = min(self._next_report, monotonic() + self.period)

    def stop(self, deadline: float) -> None:
        """Take what is left, make the last report, and let the exporters send until the deadline (monotonic seconds)."""
        now = monotonic()
        self._end_of_work = now + max(0.0, deadline - now) / 2
        self._stopping.set()
        if self._thread is None:
            self._safely(self._finish)
        else:
            # It finishes there, not here: whatever a plugin does, the application waits no longer than until the deadline.
            self._thread.join(max(0.0, deadline - now))
            if self._thread.is_alive() and deadline > now:
                log.warning("the agent's thread is busy in a plugin; its last period is lost")
        for outbox in self.outboxes:
            outbox.stop(deadline)
        for outbox in self.outboxes:
            outbox.join()

    def _run(self) -> None:
        pause = BUSY_TICK
        while not self._stopping.wait(pause):
            before = self.ledger.taken
            self._safely(compile_all)  # there is something to do only the first time, when the first response is out
            self._safely(self._turn)
            pause = BUSY_TICK if self.ledger.taken - before > MANY else TICK
        self._safely(self._finish)

    def _safely(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException:  # noqa: BLE001  # even sys.exit() in a plugin: without this thread nothing is recorded
            self._contain_failure("the agent's thread goes on after an error of its own")

    def _turn(self) -> None:
        self.work(until=self._next_report)
        if monotonic() >= self._next_report:
            self.close_period()

    def _finish(self) -> None:
        self.work()
        if self.ledger.has_any:  # a process that recorded nothing has nothing to say
            self.close_period()

    def work(self, until: float = inf) -> None:
        """
        Decide on everything that lies in the inbox.

        Args:
            until: leave the rest at this moment (monotonic seconds): applications can be faster than this thread.
        """
        while batch := self.ledger.take(BATCH):
            for transaction in batch:
                self._decide_safely(transaction)
            if monotonic() >= min(until, self._end_of_work):
                break
        log_changes(self.guards())

    def _decide_safely(self, transaction: Transaction) -> None:
        in_hand = self.ledger.in_hand
        try:
            self._decide(transaction)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._contain_failure("a transaction could not be counted; further ones are only counted as dropped")
            if self.ledger.in_hand == in_hand:
                self.ledger.drop("internal error")

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

    def _decide(self, transaction: Transaction) -> None:
        try:
            self._request_facts.complete(transaction)
        except Exception:  # noqa: BLE001  # the application can set anything, such as a datetime for queued_at
            self._report_incomplete()
        if transaction.ignored is None:
            for guard in self.hooks.ignore_transaction:
                if guard.run(transaction, self.config) is True:
                    transaction.ignored = f"by plugin {guard.plugin}"
                    break
        if transaction.ignored is not None:
            for guard in self.hooks.on_ignore:
                guard.run(transaction, transaction.ignored)
            self.ledger.drop(SAMPLED if transaction.ignored == SAMPLED else IGNORED)
            release(transaction)
            return
        if transaction.raised is not None and self.hooks.on_error:
            error = error_of(transaction.raised)
            for guard in self.hooks.on_error:
                guard.run(transaction, error)
        for guard in self.hooks.on_request_end:
            guard.run(transaction)
        self._count(transaction)

    def _count(self, transaction: Transaction) -> None:
        merged = sum(count for count, *_ in transaction.merged.values()) if transaction.merged else 0
        spans = len(transaction.spans) + merged
        beaten = self.choice.add(transaction, self.hooks.score_transaction)
        self.ledger.names_merged = self.choice.names_merged
        self.ledger.count(spans, merged)
        if beaten is not None:
            release(beaten)

    def close_period(self) -> None:
        """Make the report of the period that ends now, and hand it to every exporter."""
        self._next_report = monotonic() + self.period
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
            transactions=self.choice.take_metrics(),
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
        for item in self.choice.take_kept():
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
