"""The open period: how long it lasts, and the report that it ends in, which every exporter gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.clocks import monotonic, time
from scout_core.recording.ended import release
from scout_core.sending.ending import is_child_of_multiprocessing
from scout_core.sending.evaluation import Evaluation
from scout_core.sending.gauges import measured
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import Outbox
from scout_core.threads import breathe
from scout_core.uwsgi import is_process_of_uwsgi

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.measuring.process import Process
    from scout_core.measuring.report import PluginStatus, Trace

FIRST_PERIOD: Final = 5.0
"""The first report comes early, so that a new user need not wait a minute to see that it works."""
CHILD_PERIOD: Final = 5.0
"""For a process that may be terminated without notice, which loses at most this much then."""
QUIET: Final = 1.0
"""Seconds without a transaction after which such a process reports what it has: its work may be done."""
SHORTEST_PERIOD: Final = 1.0
"""Seconds. Receivers do not get reports more often, whatever they request."""


@define(eq=False)
class Period:
    """Used on the agent's thread only."""

    config: Config
    ledger: Ledger
    evaluation: Evaluation
    process: Process
    plugin_statuses: Callable[[], tuple[PluginStatus, ...]]
    contain_failure: Callable[[str], None]
    """Logs the exception that is being handled; raises it again in tests."""
    is_in_child: Callable[[], bool]
    """Whether this is a forked child, in which nothing of the parent's is reported."""
    reports: int = 0
    """How many reports this process has made."""
    _state_reports: int = 0
    _start: float = field(factory=time)
    _start_monotonic: float = inf

    def begin(self) -> None:
        """Begin the first period, unless it has begun."""
        if self._start_monotonic == inf:
            self._start = time()
            self._start_monotonic = monotonic()

    def seconds(self, requested: Iterable[float | None]) -> float:
        """
        Return the seconds between two reports: what the user chose, or the shortest of the default and what receivers request.

        The default is shorter in children of ``multiprocessing`` and in processes of uWSGI.

        Args:
            requested: by each receiver; None: nothing.
        """
        chosen = float(self.config.get("report_period"))
        if self.config.is_set("report_period"):
            return chosen
        longest = min(chosen, CHILD_PERIOD) if self._may_end_without_notice else chosen
        return min([longest, *(max(SHORTEST_PERIOD, seconds) for seconds in requested if seconds is not None)])

    def is_over(self, requested: Iterable[float | None], last_work: float) -> bool:
        """
        Return whether a report is due: the period has ended, or nothing happens any more in a process that may be terminated.

        Args:
            last_work: monotonic seconds when a transaction was last taken from the inbox.
        """
        now = monotonic()
        if now >= self.end(requested):
            return True
        has_been_quiet = now - max(last_work, self._start_monotonic) >= QUIET and self.ledger.in_period > 0
        return has_been_quiet and self._may_end_without_notice and not self.config.is_set("report_period")

    @property
    def _may_end_without_notice(self) -> bool:
        return is_child_of_multiprocessing() or is_process_of_uwsgi()

    def end(self, requested: Iterable[float | None]) -> float:
        """Return the monotonic seconds at which the next report is due; ``inf`` before the first period has begun."""
        seconds = self.seconds(requested)
        return self._start_monotonic + (seconds if self.reports else min(FIRST_PERIOD, seconds))

    def close(self, outboxes: Sequence[Outbox], *, is_last: bool = False) -> None:
        """
        Make the report of the period that ends now, and put it into every outbox.

        Args:
            is_last: the process ends, or at least its agent.
        """
        from scout_core.measuring.report import Report  # with the first report

        self._start_monotonic = monotonic()
        names = [outbox.name for outbox in outboxes]
        self.ledger.groups_left_out = self.evaluation.choice.groups_left_out
        self.ledger.errors_merged = self.evaluation.choice.errors_merged
        operations = self.evaluation.choice.take_operations()
        self.ledger.operations_merged = self.evaluation.choice.operations_merged
        counters = {name: self.ledger.counters(name) for name in names} or {"": self.ledger.counters()}
        plugins = self.plugin_statuses()
        traces = tuple(self._traces())
        breathe()
        now = time()
        self.reports += 1
        report = Report(
            id=f"{self.process.instance}-{self.reports}",
            process=self.process,
            start=min(self._start, now),  # a clock that was set back must not make time negative
            end=now,
            transactions=self.evaluation.choice.take_metrics(),
            traces=traces,
            plugins=plugins,
            counters=counters,
            error_groups=self.evaluation.choice.take_errors(traces),
            operations=operations,
            is_last=is_last,
            period=self.seconds(outbox.requested_interval for outbox in outboxes),
            gauges=measured(self.evaluation.hooks.measure_process),
        )
        self._start = now
        for guard in self.evaluation.hooks.on_report:
            guard.run(report)
        if self.is_in_child():  # a hook has forked, and this is the child: the report is the parent's
            return
        count = self.ledger.close_period(names)
        for outbox in outboxes:
            outbox.put(report, count)

    def report_state(self, outboxes: Sequence[Outbox]) -> None:
        """Report the state of the plugins without any figures. On another thread, while the agent's hangs."""
        from scout_core.measuring.report import Report

        self._state_reports += 1
        now = time()
        report = Report(
            id=f"{self.process.instance}-state-{self._state_reports}",
            process=self.process,
            start=now,
            end=now,
            transactions=(),
            traces=(),
            plugins=self.plugin_statuses(),
            counters={outbox.name: self.ledger.counters(outbox.name) for outbox in outboxes},
        )
        for outbox in outboxes:
            outbox.put(report, 0)

    def _traces(self) -> Iterator[Trace]:
        from scout_core.sending.traces import trace_of

        for item in self.evaluation.choice.take_kept():
            self.evaluation.put_right(item.item)
            try:
                trace, lost = trace_of(item)
            except Exception:  # noqa: BLE001  # applications and plugins put anything into a transaction
                self.evaluation.examine()
                self.contain_failure("a trace could not be made of a transaction; the others are sent")
                self.ledger.traces_lost += 1
                continue
            self.ledger.tags_dropped += lost
            for guard in self.evaluation.hooks.on_keep:
                guard.run(item.item, item.score)
            try:
                release(item.item)
            except Exception:  # noqa: BLE001  # a hook can have left anything in it, and its trace is complete
                self.contain_failure("a transaction could not be released after on_keep; its trace is sent")
            breathe()
            yield trace
