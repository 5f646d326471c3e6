"""The agent's thread: takes finished transactions from the inbox, decides on each, and makes the report of each period."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.measuring.metrics import NameMetrics
from scout_core.measuring.report import PluginStatus, Process, Report, is_web
from scout_core.measuring.reservoir import Kept, Reservoir
from scout_core.measuring.stats import Lifetime, Stats
from scout_core.recording.transaction import Transaction, ended, release
from scout_core.recording.web import complete
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import Outbox
from scout_core.sending.traces import error_of, trace_of

if TYPE_CHECKING:
    from scout_core.config.config import Config

log = logging.getLogger("scout_core")

TICK: Final = 0.25
"""Seconds between two looks into the inbox. Nobody wakes this thread: waking costs the application's thread more than the append."""
FIRST_PERIOD: Final = 5.0
"""The first report comes early, so that a new user need not wait a minute to see that it works."""
OTHER: Final = "other"


@define(frozen=True)
class RunTimeHooks:
    """The guarded functions of all hooks that this thread calls."""

    ignore_transaction: tuple[Guard, ...] = ()
    score_transaction: tuple[Guard, ...] = ()
    on_error: tuple[Guard, ...] = ()
    on_request_end: tuple[Guard, ...] = ()
    on_ignore: tuple[Guard, ...] = ()
    on_keep: tuple[Guard, ...] = ()
    on_report: tuple[Guard, ...] = ()


@define(eq=False)
class Recorder:
    """What happens after a transaction has ended. All methods run on one thread at a time."""

    config: Config
    hooks: RunTimeHooks
    ledger: Ledger
    process: Process
    plugin_statuses: Callable[[], tuple[PluginStatus, ...]]
    guards: Callable[[], tuple[Guard, ...]]
    outboxes: list[Outbox] = field(factory=list)
    wished_period: float | None = None
    """What the receivers would like; used unless the user chose."""
    _names: dict[str, NameMetrics] = field(factory=dict)
    _lifetimes: dict[str, Lifetime] = field(factory=dict)
    _all_time: float = 0.0
    _kept: dict[bool, Reservoir[Transaction]] = field(factory=dict)
    """Whether it is for web requests, to the set."""
    _period_start: float = field(factory=time)
    _next_report: float = field(factory=lambda: monotonic() + FIRST_PERIOD)
    _reports: int = 0
    _stopping: Event = field(factory=Event)
    _thread: Thread | None = None

    def __attrs_post_init__(self) -> None:
        self._kept = {web: Reservoir(self.config.get("traces_per_period")) for web in (True, False)}
        if self.config.is_set("report_period"):
            self._next_report = monotonic() + min(FIRST_PERIOD, self.config.get("report_period"))

    def begin(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name="scout-core", daemon=True)
        self._thread.start()

    def wish(self, seconds: float) -> None:
        """A receiver would like reports so often."""
        self.wished_period = seconds
        if not self.config.is_set("report_period"):
            self._next_report = min(self._next_report, monotonic() + seconds)

    def stop(self, deadline: float) -> None:
        """Take what is left, make the last report, and let the exporters send until the deadline (monotonic seconds)."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - monotonic()))
            if self._thread.is_alive():
                log.warning("the agent's thread is busy in a plugin; its last period is lost")
                return
        self.work()
        self.close_period()
        for outbox in self.outboxes:
            outbox.stop(deadline)

    def _run(self) -> None:
        while not self._stopping.wait(TICK):
            try:
                self.work()
                if monotonic() >= self._next_report:
                    self.close_period()
            except Exception:
                log.exception("the agent's thread goes on after an error of its own")

    def work(self) -> None:
        """Decide on everything that lies in the inbox."""
        while batch := self.ledger.take(500):
            for transaction in batch:
                self._decide_safely(transaction)
        for guard in self.guards():
            guard.log()

    def _decide_safely(self, transaction: Transaction) -> None:
        in_hand = self.ledger.in_hand
        try:
            self._decide(transaction)
        except Exception:
            if self.config.get("plugins.reraise"):
                raise
            log.exception("transaction %s could not be counted", transaction.operation)
            if self.ledger.in_hand == in_hand:
                self.ledger.drop("internal error")

    def _decide(self, transaction: Transaction) -> None:
        complete(transaction, self.config)
        if transaction.ignored is None:
            for guard in self.hooks.ignore_transaction:
                if guard.run(transaction, self.config) is True:
                    transaction.ignored = f"by plugin {guard.plugin}"
                    break
        if transaction.ignored is not None:
            for guard in self.hooks.on_ignore:
                guard.run(transaction, transaction.ignored)
            self.ledger.drop("sampled" if transaction.ignored == "sampled" else "ignored")
            self._let_go(transaction)
            return
        if transaction.raised is not None and self.hooks.on_error:
            error = error_of(transaction.raised)
            for guard in self.hooks.on_error:
                guard.run(transaction, error)
        for guard in self.hooks.on_request_end:
            guard.run(transaction)
        self._count(transaction)

    def _count(self, transaction: Transaction) -> None:
        name = transaction.operation[:300]
        now = monotonic()
        lifetime = self._lifetimes.get(name)
        if lifetime is None:
            if len(self._lifetimes) >= self.config.get("max_names"):
                self.ledger.names_merged += 1
                name = f"{transaction.kind}/{OTHER}" if is_web(name) else f"Job/{OTHER}"
            lifetime = self._lifetimes.setdefault(name, Lifetime(now))
        metrics = self._names.get(name)
        if metrics is None:
            metrics = self._names[name] = NameMetrics()
        metrics.add(transaction)
        duration = (transaction.stop_ns - transaction.start_ns) / 1e9
        lifetime.count += 1
        lifetime.total += duration
        lifetime.durations.add(duration)
        self._all_time += duration
        merged = sum(count for count, _ in transaction.merged.values()) if transaction.merged else 0
        self.ledger.count(len(transaction.spans) + merged, merged)
        points = self._score(transaction, Stats(lifetime, duration, self._all_time, now))
        candidate = Kept(name, sum(points.values()), points, transaction)
        beaten = self._kept[is_web(name)].offer(candidate)
        if beaten is not None:
            self._let_go(beaten.item)

    def _score(self, transaction: Transaction, stats: Stats) -> dict[str, float]:
        """Policy name to its points after its weight; policies that gave none are not in it."""
        points = {}
        weights = self.config.get("policies")
        for guard in self.hooks.score_transaction:
            given = guard.run(transaction, stats, self.config)
            if given is None:
                continue
            if type(given) not in (int, float, bool) or not math.isfinite(given):
                guard.refuse(
                    f"a score is a finite number or None, not {given if isinstance(given, float) else type(given).__name__}"
                )
                continue
            points[guard.plugin] = float(given) * weights.get(guard.plugin, 1.0)
        return points

    def close_period(self) -> None:
        """Make the report of the period that ends now, and hand it to every exporter."""
        wished = self.config.get("report_period")
        if self.wished_period is not None and not self.config.is_set("report_period"):
            wished = self.wished_period
        self._next_report = monotonic() + wished
        now, start = time(), self._period_start
        self._period_start = now
        kept = [item for web in (True, False) for item in self._kept[web].take()]
        traces = []
        for item in kept:
            trace, lost = trace_of(item)
            self.ledger.tags_dropped += lost
            traces.append(trace)
            self._lifetimes[item.name].kept_at = monotonic()
            for guard in self.hooks.on_keep:
                guard.run(item.item, item.score)
            self._let_go(item.item)
        transactions = tuple(metrics.freeze(name) for name, metrics in self._names.items())
        self._names = {}
        names = [outbox.name for outbox in self.outboxes]
        counters = {name: self.ledger.counters(name) for name in names} or {"": self.ledger.counters()}
        self._reports += 1
        report = Report(
            id=f"{self.process.instance}-{self._reports}",
            process=self.process,
            start=start,
            end=now,
            transactions=transactions,
            traces=tuple(traces),
            plugins=self.plugin_statuses(),
            counters=counters,
        )
        for guard in self.hooks.on_report:
            guard.run(report)
        count = self.ledger.close_period(names)
        for outbox in self.outboxes:
            outbox.put(report, count)

    def _let_go(self, transaction: Transaction) -> None:
        release(transaction, ended(self.ledger.tracer))
