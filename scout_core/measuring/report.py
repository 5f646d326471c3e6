"""The report that the agent sends each period: aggregates of every transaction, the kept traces, and its own state.

Nothing in it can be changed, because exporters and hooks share it.

Times are in seconds, and points in time in Unix time, unless the name has another unit. Strings are sanitised already.
"""

from __future__ import annotations

from typing import Final, Union

from attrs import field, frozen

from scout_core.measuring.error_report import ErrorReport as ErrorReport
from scout_core.measuring.histogram import Histogram, frozen_histogram
from scout_core.measuring.process import Process
from scout_core.measuring.read_only import with_read_only_mappings
from scout_core.problems import NextStep, Problem, TooManyErrors, TooSlow
from scout_core.states import State

SCHEMA: Final = 1
"""Raised when a reader of the former number could misread a report; a new optional field does not raise it."""

TagValue = Union[str, int, float, bool, None]  # noqa: UP007  # cattrs finds its hook under this spelling
Tags = dict[str, TagValue]


@frozen(kw_only=True)
class KindMetrics:
    """All spans of one kind (``SQL``, ``Template``) under one transaction name."""

    count: int
    errors: int
    total: float
    """Time between start and end of each span, summed."""
    exclusive: float
    """Time not spent in a child span, summed: over all kinds this adds up to the transactions' own time."""


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


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class SpanRecord:
    """One span of a kept trace."""

    id: int
    """1, 2, 3 … in order of start; the transaction itself is 0."""
    parent: int
    operation: str
    start: float
    """Seconds after the transaction's start."""
    duration: float
    tags: Tags
    error: str | None = None
    """Class of the exception that left the span."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class Trace:
    """A kept transaction with its spans, and why it was kept."""

    id: str
    """16 hexadecimal digits."""
    name: str
    start: float
    duration: float
    queue_time: float | None
    is_error: bool
    error: ErrorReport | None
    """The first error that made it fail; None without one, as when only its tag ``error`` is set."""
    tags: Tags
    score: float
    policies: dict[str, float]
    """Policy name to its points after its weight; they add up to ``score``."""
    group: str = ""
    """The group in which it competed for its place, at most 500 characters; empty: from an agent that does not send it, its name."""
    grouped_by: str = ""
    """The plugin that chose the group; empty: none, the group is the name."""
    seen: dict[str, float] = field(factory=dict)
    """The figures that policies could read, by the names of ``Stats``; unknown ones are missing."""
    spans: tuple[SpanRecord, ...]
    """In order of start."""
    merged: dict[str, tuple[int, float]] = field(factory=dict)
    """Spans beyond the limit: operation to ``(count, seconds)``."""
    trace_id: str = ""
    """Id of the W3C trace that it is a part of, 32 hexadecimal digits; empty from an agent that does not send it."""
    parent_span_id: str = ""
    """The caller's span in that trace, 16 hexadecimal digits; empty where the trace begins. Its own is ``id``."""
    started_by: str = ""
    """Id of the transaction that started this one, which is detached from it, 16 hexadecimal digits; empty: none is known."""
    calls: dict[str, int] = field(factory=dict)
    """Ids of spans in that trace that were read, as for a call to another service: each to the number of the span."""
    more_errors: tuple[ErrorReport, ...] = ()
    """Its other recorded errors, in the order in which they were recorded, those that were handled last."""
    errors_left_out: int = 0
    """Recorded errors beyond the limit of one transaction, 10."""

    @property
    def errors(self) -> tuple[ErrorReport, ...]:
        """All recorded errors: ``error``, if there is one, and ``more_errors``."""
        return self.more_errors if self.error is None else (self.error, *self.more_errors)


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
    """Targets that cannot be wrapped. From an agent that sends no ``target_problems``, each is a text: the target and why."""
    calls: int
    errors: int
    last_error: str | None
    seconds_per_call: float | None
    """Mean of the sampled calls; None before the first sample."""
    functions: tuple[FunctionStatus, ...] = ()
    traceback: tuple[tuple[str, int, str], ...] = ()
    """Traceback of the failed load or the last error, ``(file, line, function)``, innermost first, at most 50."""
    target_problems: tuple[Problem, ...] = ()
    """Why targets cannot be wrapped: one for each of ``not_found``, in its order; its subject is the target."""
    problems: tuple[Problem, ...] = ()
    """Why it is in its state."""
    next_step: NextStep | None = None
    """The first thing to do; None when there is nothing to do."""


@frozen(kw_only=True, field_transformer=with_read_only_mappings)
class Counters:
    """How many transactions since the process started went where, for one exporter.

    ``finished == exported + queued + sum(dropped.values())`` at every moment.
    """

    finished: int
    exported: int
    queued: int
    dropped: dict[str, int]
    """Reason (``ignored``, ``sampled``, ``inbox full``, ``outbox full``, ``rejected``, …) to count."""
    figures_only: int = 0
    """Transactions counted and timed without their spans, hooks and trace, because the inbox was full."""
    spans: int = 0
    spans_merged: int = 0
    """Beyond the limit of one transaction: aggregated, not in its trace."""
    late_spans: int = 0
    """Spans and errors that came after the end of their transaction: in no figure."""
    in_collection: int = 0
    """Spans and transactions begun while the garbage collector ran, which Python before 3.12 cannot record: in no figure."""
    in_hooks: int = 0
    """Spans and transactions begun by hooks of plugins: in no figure."""
    invalid_values: int = 0
    """Values of another type that were set as an operation, tags, headers or another attribute, and are not used."""
    values_cut: int = 0
    """Texts that were shortened, and tags replaced by the name of their type, so that waiting transactions take little memory."""
    names_merged: int = 0
    """Transactions counted under ``other`` because there were too many names."""
    tags_dropped: int = 0
    """Beyond the limit of one span or transaction."""
    groups_left_out: int = 0
    """Trace groups, by default the names, of which no trace had a place in a period: summed, and at most 1,000 of each period."""
    traces_lost: int = 0
    """Kept, but something that the application or a plugin had put into them could not be read."""
    logging_failures: int = 0
    """Messages of scout-core that are in no log, because a handler or filter of the application raised."""
    left_out: dict[str, int] = field(factory=dict)
    """The sums of ``left_out`` of the reports before."""


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
    gauges: dict[str, dict[str, float]] = field(factory=dict)
    """Measurements of the process at the end of the period, by plugins: plugin to name to number."""
    is_last: bool | None = None
    """Whether the process ends with this report, if no other one follows as after ``flush()``; None from an agent that does not mark it."""
    period: float | None = None
    """Seconds after which the process means to report again; None from an agent that does not mention it."""
    left_out: dict[str, int] = field(factory=dict)
    """
    ``traces``, ``plugins`` or ``names`` to how many did not fit into the report, because the receiver accepts no larger one, or the
    process keeps no larger one. The figures of such names are counted under ``other``, so no transaction is missing from them.
    """
