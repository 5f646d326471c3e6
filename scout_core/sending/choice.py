"""The figures of the open period, the lifetime of each name, and the traces that have a place so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from attrs import define, field

from scout_core.boundary.guard import Guard
from scout_core.boundary.hooks import RunTimeHooks
from scout_core.clocks import monotonic
from scout_core.fork_lock import importing
from scout_core.measuring.groups import BY_NAME, Group, group_of, reserved_places
from scout_core.measuring.metrics import NameMetrics
from scout_core.measuring.reservoir import Kept, Reservoir
from scout_core.measuring.scoring import score
from scout_core.measuring.stats import Lifetime, Stats
from scout_core.operations import CONTROLLER, JOB, OTHER_NAME, UNNAMED_NAME, is_web, kind_of
from scout_core.recording.limits.bounds import LONGEST_NAME

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.measuring.error_figures import ErrorFigures
    from scout_core.measuring.figures import Figures
    from scout_core.measuring.operations_of_period import Operations
    from scout_core.measuring.report import ErrorGroupMetrics, OperationMetrics, Trace, TransactionMetrics
    from scout_core.recording.transaction import Transaction

MOST_GROUPS: Final = 1_000
"""Groups of plugins of which it is known when a trace was last kept. The longest ago is forgotten first."""


@define(eq=False)
class _Name:
    """A name of transactions."""

    name: str
    places: Reservoir[Transaction]
    """For traces of web requests, or for those of jobs."""
    lifetime: Lifetime
    group: Group
    """The group of its traces for which no plugin chooses another."""
    metrics: NameMetrics | None = None
    """Its figures in the open period; None while it has none."""


def hooks_of_success(hooks: RunTimeHooks, *, has_errors: bool) -> RunTimeHooks:
    """Return those that decide about transactions that did not fail, with or without errors that something handled."""

    def called(guards: Iterable[Guard]) -> tuple[Guard, ...]:
        return tuple(guard for guard in guards if guard.is_for(has_failed=False, has_errors=has_errors))

    return RunTimeHooks(trace_group=called(hooks.trace_group), score_transaction=called(hooks.score_transaction))


@define(eq=False)
class Choice:
    """Used on the agent's thread only."""

    config: Config
    log_failure: Callable[[str], None]
    """Logs the exception that is being handled."""
    names_merged: int = 0
    """Transactions counted under ``other`` because there were too many names."""
    _names: dict[str, _Name] = field(factory=dict)
    """Every name that was ever counted."""
    _in_period: list[_Name] = field(factory=list)
    """Those with figures in the open period, in the order in which they came."""
    _all_time: float = 0.0
    _web: Reservoir[Transaction] = field(init=False)
    _jobs: Reservoir[Transaction] = field(init=False)
    _kept_at: dict[tuple[bool, Group], float] = field(factory=dict)
    """Whether of web requests, and a group that a plugin chose, to the monotonic seconds at which it was last kept, the latest last."""
    _groups_left_out: int = 0
    """Those of the periods that are over."""
    _hooks: RunTimeHooks = field(factory=RunTimeHooks)
    _hooks_for_handled: RunTimeHooks = field(factory=RunTimeHooks)
    """The same, for transactions that succeeded although there were errors."""
    _hooks_for_others: RunTimeHooks = field(factory=RunTimeHooks)
    """The same, for transactions without errors."""
    _weights: dict[str, float] = field(init=False)
    _errors: ErrorFigures | None = None
    """None: no transaction has failed."""
    _has_errors: bool = field(init=False)
    _operations: Operations | None = None
    """None: no transaction with spans has been counted."""
    _max_operations: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._web, self._jobs = Reservoir(0), Reservoir(0)
        self.read_options()

    def read_options(self) -> None:
        """Read the options again; traces that have a place keep it for this period."""
        self._weights = self.config.get("policies")
        self._has_errors = self.config.get("errors_enabled")
        self._max_operations = self.config.get("max_operations")
        self._reserve_places()

    def use_hooks(self, hooks: RunTimeHooks) -> None:
        """Replace the hooks; traces that have a place keep it for this period."""
        self._hooks = hooks
        self._hooks_for_handled = hooks_of_success(hooks, has_errors=True)
        self._hooks_for_others = hooks_of_success(hooks, has_errors=False)
        self._reserve_places()

    def _reserve_places(self) -> None:
        plugins = tuple(guard.plugin for guard in self._hooks.trace_group)
        places = self.config.get("traces_per_period")
        reserved = reserved_places(places, plugins, self.config.get("reserved_places"))
        for reservoir in (self._web, self._jobs):
            reservoir.reserve(places, reserved)

    def add(self, transaction: Transaction) -> Transaction | None:
        """
        Count a transaction, and let it compete for a place.

        Returns:
            The one that has no place after that: this or another; None when there was room.
        """
        now = monotonic()
        name = self._names.get(transaction.operation) or self._name_of(transaction.operation, now)
        metrics = name.metrics or NameMetrics(has_queues=not is_web(name.name))
        errors = metrics.errors
        bucket = metrics.add(transaction)
        if name.metrics is None:
            name.metrics = metrics
            self._in_period.append(name)
        duration = max(0.0, (transaction.stop_ns - transaction.start_ns) / 1e9)
        self._all_time += duration
        quantile = name.lifetime.add(duration, bucket)
        stats = Stats(name.lifetime, quantile, self._all_time, now)
        if transaction.spans or transaction.merged:
            self._count_operations(name.name, transaction)
        if metrics.errors > errors:
            hooks = self._hooks
            self._count_errors(name.name, transaction, has_failed=True)
        elif transaction.raised is None:
            hooks = self._hooks_for_others
        else:
            hooks = self._hooks_for_handled
            self._count_errors(name.name, transaction, has_failed=False)
        group = name.group
        if hooks.trace_group:
            chosen = group_of(transaction, stats, hooks.trace_group, self.config)
            if chosen is not None:
                group = chosen
                kept_at = self._kept_at.get((is_web(name.name), group), name.lifetime.first_at)
                stats = Stats(name.lifetime, quantile, self._all_time, now, kept_at)
        points = score(transaction, stats, hooks.score_transaction, weights=self._weights, config=self.config)
        total = sum(points.values())
        if not name.places.admits(group, total):
            return transaction
        replaced = name.places.offer(Kept(name.name, total, points, transaction, stats.as_numbers(), group))
        return None if replaced is None else replaced.item

    def add_figures(self, operation: str, figures: Figures) -> None:
        """Count transactions of one operation that do not compete for a place."""
        now = monotonic()
        name = self._names.get(operation) or self._name_of(operation, now, figures.count)
        if name.metrics is None:
            name.metrics = NameMetrics(has_queues=not is_web(name.name))
            self._in_period.append(name)
        name.metrics.add_figures(kind_of(operation), figures)
        self._all_time += figures.total_ns / 1e9
        name.lifetime.add_figures(figures)

    def _count_errors(self, name: str, transaction: Transaction, *, has_failed: bool) -> None:
        if not self._has_errors:
            return
        figures = self._errors or self._new_errors()
        try:
            figures.add(name, transaction, transaction.errors, has_failed=has_failed)
        except Exception:  # noqa: BLE001  # the transaction is counted, and must not be a second time
            self.log_failure("the errors of a transaction are counted without their groups")
            figures.add_unknown(name, 1)

    def _new_errors(self) -> ErrorFigures:
        with importing:  # not yet imported where one of the first transactions fails
            from scout_core.measuring.error_figures import ErrorFigures

        self._errors = ErrorFigures()
        return self._errors

    def _count_operations(self, name: str, transaction: Transaction) -> None:
        if not self._max_operations:
            return
        operations = self._operations or self._new_operations()
        try:
            operations.add(name, transaction)
        except Exception:  # noqa: BLE001  # the transaction is counted, and must not be a second time
            self.log_failure("some spans of a transaction are not in the figures of operations")

    def _new_operations(self) -> Operations:
        with importing:
            from scout_core.measuring.operations_of_period import Operations

        self._operations = Operations()
        return self._operations

    @property
    def operations_merged(self) -> int:
        """Spans counted under the ``other`` of their kind in the figures of operations."""
        return 0 if self._operations is None else self._operations.merged

    def take_operations(self) -> tuple[OperationMetrics, ...]:
        """Remove and return the operations of the period, which is over."""
        return () if self._operations is None else self._operations.take(self._max_operations)

    @property
    def errors_merged(self) -> int:
        """Errors counted under ``other``."""
        return 0 if self._errors is None else self._errors.merged

    def take_errors(self, traces: Iterable[Trace]) -> tuple[ErrorGroupMetrics, ...]:
        """Remove and return the groups of errors of the period, which is over; ``traces`` were kept in it."""
        return () if self._errors is None else self._errors.take(traces)

    @property
    def groups_left_out(self) -> int:
        """Groups of which no trace had a place in a period, summed over all periods, the open one included."""
        return self._groups_left_out + self._web.left_out + self._jobs.left_out

    def take_metrics(self) -> tuple[TransactionMetrics, ...]:
        """Remove and return the figures of the period, which is over."""
        names, self._in_period = self._in_period, []
        taken = []
        for name in names:
            if name.metrics is not None:
                taken.append(name.metrics.freeze(name.name))
            name.metrics = None
        return tuple(taken)

    def take_kept(self) -> list[Kept[Transaction]]:
        """Remove and return the traces of the period, which is over: web requests first, of each the best first."""
        self._groups_left_out = self.groups_left_out
        kept = [*self._web.take(), *self._jobs.take()]
        now = monotonic()
        for item in kept:
            if item.group.plugin == BY_NAME:
                self._names[item.name].lifetime.kept_at = now
            else:
                key = is_web(item.name), item.group
                self._kept_at.pop(key, None)
                self._kept_at[key] = now
        for oldest in list(self._kept_at)[:-MOST_GROUPS]:
            del self._kept_at[oldest]
        return kept

    def _name_of(self, operation: str, now: float, transactions: int = 1) -> _Name:
        """Return the name under which so many transactions of an operation are counted."""
        name = operation[:LONGEST_NAME] or f"{JOB}/{UNNAMED_NAME}"
        if name not in self._names and len(self._names) >= self.config.get("max_names"):
            self.names_merged += transactions
            name = f"{CONTROLLER if is_web(name) else JOB}/{OTHER_NAME}"
        if name not in self._names:
            self._names[name] = _Name(name, self._web if is_web(name) else self._jobs, Lifetime(now), Group(name))
        return self._names[name]
