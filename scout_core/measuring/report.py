"""The report that the agent sends each period: aggregates of every transaction, the kept traces, and its own state.

Nothing in it can be changed, because exporters and hooks share it.

Times are in seconds, and points in time in Unix time, unless the name has another unit. Strings are sanitised already.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from scout_core.measuring.counters import Counters as Counters
from scout_core.measuring.error_report import ErrorExample as ErrorExample
from scout_core.measuring.error_report import ErrorGroupMetrics as ErrorGroupMetrics
from scout_core.measuring.error_report import ErrorReport as ErrorReport
from scout_core.measuring.error_report import Tags as Tags
from scout_core.measuring.error_report import TagValue as TagValue
from scout_core.measuring.histogram import Histogram, frozen_histogram
from scout_core.measuring.operation_report import CodeLine as CodeLine
from scout_core.measuring.operation_report import EndpointShare as EndpointShare
from scout_core.measuring.operation_report import OperationMetrics as OperationMetrics
from scout_core.measuring.process import Process as Process
from scout_core.measuring.read_only import with_read_only_mappings
from scout_core.measuring.trace_report import SpanRecord as SpanRecord
from scout_core.measuring.trace_report import SpanRepeat as SpanRepeat
from scout_core.measuring.trace_report import SpanStack as SpanStack
from scout_core.measuring.trace_report import Trace as Trace
from scout_core.problems import NextStep, Problem, TooManyErrors, TooSlow
from scout_core.states import State

SCHEMA: Final = 1
"""Raised when a reader of the former number could misread a report; a new optional field does not raise it."""


@frozen(kw_only=True)
class KindMetrics:
    """All spans of one kind (``SQL``, ``Template``) under one transaction name."""

    count: int
    errors: int
    total: float
    """Time between start and end of each span, without the pauses in which a generator waits for its consumer, summed."""
    exclusive: float
    """Time not spent in a child span, summed: over all kinds this adds up to the transactions' own time."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class QueueMetrics:
    """All jobs of one name that were taken from one queue, in one period."""

    count: int
    errors: int
    total: float
    durations: Histogram = field(converter=frozen_histogram)
    queue_time: float
    """Summed over the jobs in ``waits``."""
    waits: Histogram = field(converter=frozen_histogram)
    """The queue times of the jobs of which it is known."""
    outcomes: dict[str, int]
    """Tag ``outcome`` to the number of jobs; those without the tag are in none."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class TransactionMetrics:
    """All transactions of one name in one period, whether a trace of them was kept or not."""

    name: str
    count: int
    errors: int
    total: float
    durations: Histogram = field(converter=frozen_histogram)
    queue_time: float = 0.0
    """Summed over the ``queued`` transactions."""
    queued: int = 0
    """Transactions with a known queue time."""
    kinds: dict[str, KindMetrics]
    """Span kind to its figures; the transaction's own kind is among them."""
    queues: dict[str, QueueMetrics] = field(factory=dict)
    """
    The tag ``queue`` to the figures of the jobs from that queue; the empty one has those without the tag. Web requests are in none,
    nor are jobs that were only counted and timed, because the inbox was full; empty from an agent that does not send it.
    """


@frozen(kw_only=True)
class FunctionStatus:
    """One function of a plugin in one process: a hook's implementation, or a describer."""

    place: str
    """The hook, or the target it describes."""
    calls: int
    errors: int
    p50: float | None
    """Seconds that half of the last sampled calls stayed below; None before the first sample."""
    p95: float | None
    slow: str = ""
    """The option whose limit it exceeds; empty while it does not. A text from an agent that sends no ``too_slow``."""
    off: str = ""
    """``too-many-errors`` or ``too-slow`` when it is switched off, empty otherwise. A text from an agent that sends neither field."""
    too_slow: TooSlow | None = None
    """By how much it exceeds its limit, or did when it was switched off; None while it does not."""
    too_many_errors: TooManyErrors | None = None
    """The errors for which it was switched off; None while it works, and when it was too slow."""
    is_recovered: bool = False
    """The last call of an exporter succeeded, so the errors before it need no attention."""
    unfollowed: tuple[str, ...] = ()
    """Results of a target with whose call its spans end, though they may have work to do: ``a context manager (Lock)``."""


@frozen(kw_only=True)
class PluginStatus:
    """One plugin in one process."""

    name: str
    distribution: str | None
    """None for a plain module that was named by the user."""
    version: str | None
    state: State = field(converter=State)
    reason: str
    """The text of ``problems``, for readers that only show it; empty while all is well."""
    target: str
    """The library that it instruments and the supported range, ``flask 3.1.3 (>=2.2,<4)``; empty for a plugin without a library."""
    hooks: tuple[str, ...]
    wrapped: tuple[str, ...]
    waiting: tuple[str, ...]
    not_found: tuple[str, ...]
    """Targets that do not exist, or cannot be replaced. From an agent without ``target_problems``, each is a text: the target and why."""
    calls: int
    errors: int
    last_error: str | None
    seconds_per_call: float | None
    """Mean of the sampled calls; None before the first sample."""
    functions: tuple[FunctionStatus, ...] = ()
    traceback: tuple[tuple[str, int, str], ...] = ()
    """Traceback of the failed load or the last error, ``(file, line, function)``, innermost first, at most 50."""
    target_problems: tuple[Problem, ...] = ()
    """
    Why targets are neither wrapped nor waiting, one for each target, which is the subject.

    The kind is ``missing-target`` for those in ``not_found``, ``unsupported-target`` for one that is left alone, and
    ``incomplete-group`` for one that exists, and whose group lacks another.
    """
    problems: tuple[Problem, ...] = ()
    """Why it is in its state."""
    next_step: NextStep | None = None
    """The first thing to do; None when there is nothing to do."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class Report:
    """One period of one process."""

    schema: int = SCHEMA
    id: str
    """``<instance>-<number>``: the receiver counts a report that comes twice once."""
    process: Process
    start: float
    end: float
    transactions: tuple[TransactionMetrics, ...]
    traces: tuple[Trace, ...]
    plugins: tuple[PluginStatus, ...]
    counters: dict[str, Counters]
    """Exporter name to its counters."""
    error_groups: tuple[ErrorGroupMetrics, ...] = ()
    """
    The errors of all transactions by group, at most 200 and ``other``; those of transactions that were only counted and timed, because
    the inbox was full, are in none. Empty from an agent that does not send it.
    """
    operations: tuple[OperationMetrics, ...] = ()
    """
    The spans of all transactions by operation, those with the most time: at most ``max_operations``, and one ``other`` of each kind.
    Spans of transactions that were only counted and timed are in none. Empty from an agent that does not send it.
    """
    gauges: dict[str, dict[str, float]] = field(factory=dict)
    """Measurements of the process at the end of the period, by plugins: plugin to name to number."""
    is_last: bool | None = None
    """Whether the process ends with this report, if no other one follows as after ``flush()``; None from an agent that does not mark it."""
    period: float | None = None
    """Seconds after which the process means to report again; None from an agent that does not mention it."""
    left_out: dict[str, int] = field(factory=dict)
    """
    ``traces``, ``plugins``, ``names``, ``error groups``, ``examples`` or ``operations`` to how many did not fit into the report,
    because the receiver accepts no larger one, or the process keeps no larger one. The figures of such names, groups and operations
    are counted under ``other``, so nothing is missing from them.
    """
