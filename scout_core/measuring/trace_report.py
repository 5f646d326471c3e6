"""
A kept trace as it leaves the process: its spans, why it was kept, and where its slow and repeated calls come from.

Nothing in it can be changed, because exporters and hooks share it. Times are in seconds.
"""

from __future__ import annotations

from attrs import field, frozen

from scout_core.measuring.error_report import ErrorReport, Tags
from scout_core.measuring.read_only import with_read_only_mappings


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


@frozen(kw_only=True)
class SpanStack:
    """The calls that led to one span of a kept trace."""

    span: int
    """The number of the span."""
    frames: tuple[tuple[str, int, str], ...]
    """``(file, line, function)``, innermost first, at most 50."""
    in_app: tuple[bool, ...] = ()
    """For each of ``frames``, whether it is the application's own code."""


@frozen(kw_only=True)
class SpanRepeat:
    """One call that a line of the application repeats within a transaction, as an N+1 query."""

    operation: str
    statement: str
    """The tag ``statement``, without literals; empty without one."""
    count: int
    """How often it was made, and recorded with no other span inside it."""
    seconds: float
    """All of them together."""
    file: str
    """The file of the innermost function of the application around it; empty: none was found."""
    line: int
    """0 without a file."""
    function: str


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
    stacks: tuple[SpanStack, ...] = ()
    """The calls that led to slow spans, at most 50."""
    stacks_left_out: int = 0
    """Slow spans beyond the limit of one transaction, 50, whose calls were not noted."""
    repeats: tuple[SpanRepeat, ...] = ()
    """Calls that it repeats, at most 20: those that took longest first."""
    errors_left_out: int = 0
    """Recorded errors beyond the limit of one transaction, 10."""

    @property
    def errors(self) -> tuple[ErrorReport, ...]:
        """All recorded errors: ``error``, if there is one, and ``more_errors``."""
        return self.more_errors if self.error is None else (self.error, *self.more_errors)
