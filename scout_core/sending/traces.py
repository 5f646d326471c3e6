"""A kept transaction as it leaves the process: plain, sanitised, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.application_code import code_of
from scout_core.classes import class_path
from scout_core.measuring.metrics import clamp_seconds
from scout_core.measuring.numbers import hex_id
from scout_core.measuring.report import SpanRecord, SpanStack, Trace
from scout_core.recording.limits.bounds import LONGEST_NAME
from scout_core.text.tags import clean_tags

if TYPE_CHECKING:
    from scout_core.measuring.reservoir import Kept
    from scout_core.recording.span import Span
    from scout_core.recording.stacks import Stacks
    from scout_core.recording.transaction import Transaction

_LATEST: Final = 1e12
"""Unix time, in the year 33,658."""


def trace_of(kept: Kept[Transaction]) -> tuple[Trace, int]:
    """The trace, and how many tags had to be left out."""
    transaction = kept.item
    tags, dropped = clean_tags(transaction.tags)
    spans = _spans_of(transaction)
    numbers = {id(span): number for number, span in enumerate(spans, 1)}
    records = []
    for span in spans:
        span_tags, lost = clean_tags(span.tags)
        dropped += lost
        records.append(
            SpanRecord(
                id=numbers[id(span)],
                parent=_nearest(span, numbers),
                operation=span.operation[:LONGEST_NAME],
                start=clamp_seconds((span.start_ns - transaction.start_ns) / 1e9),
                duration=clamp_seconds((span.stop_ns - span.start_ns) / 1e9),
                tags=span_tags,
                error=None if span.error is None else class_path(span.error),
            )
        )
    stacks: Stacks | None = getattr(transaction, "own_stacks", None)  # nearly every transaction has none
    errors = transaction.errors
    error = errors[0] if errors and not errors[0].handled else None
    trace = Trace(
        id=hex_id(transaction.id),
        name=kept.name,
        start=_point_in_time(transaction.started),
        duration=clamp_seconds((transaction.stop_ns - transaction.start_ns) / 1e9),
        queue_time=None if transaction.queue_time is None else clamp_seconds(transaction.queue_time),
        is_error=transaction.is_error,
        error=error,
        more_errors=errors if error is None else errors[1:],
        errors_left_out=transaction.error_count - len(errors),
        tags=tags,
        score=kept.score,
        policies=kept.policies,
        group=kept.group.text,
        grouped_by=kept.group.plugin,
        seen=kept.seen,
        spans=tuple(records),
        merged={
            operation[:LONGEST_NAME]: (count, clamp_seconds(total_ns / 1e9))
            for operation, (count, total_ns, *_) in (transaction.merged or {}).items()
            if count
        },
        trace_id=transaction.trace_id,
        parent_span_id=transaction.parent_span_id,
        started_by=hex_id(transaction.started_by) if transaction.started_by else "",
        stacks=() if stacks is None else _stacks(transaction, spans, numbers),
        repeats=transaction.repeats,
        stacks_left_out=0 if stacks is None else stacks.beyond,
        calls={span.own_id: numbers[id(span)] for span in spans if hasattr(span, "own_id")},
    )
    return trace, dropped


def _spans_of(transaction: Transaction) -> list[Span]:
    """Return its spans in order of start, each once: an exporter cannot send two with one number."""
    if type(transaction.spans) is not list:  # something endless, perhaps
        raise TypeError("the spans of a transaction are not a list any more")
    return sorted({id(span): span for span in transaction.spans}.values(), key=lambda span: span.start_ns)


def _stacks(transaction: Transaction, spans: list[Span], numbers: dict[int, int]) -> tuple[SpanStack, ...]:
    code = code_of(transaction.tracer.config)
    return tuple(
        SpanStack(span=numbers[id(span)], frames=stack, in_app=tuple([code.has(file) for file, _, _ in stack]))
        for span in spans
        if (stack := span.stack)
    )


def _point_in_time(unix_time: float) -> float:
    seconds = float(unix_time)
    if not abs(seconds) <= _LATEST:
        raise ValueError("a transaction has no readable start")
    return seconds


def _nearest(span: Span, numbers: dict[int, int]) -> int:
    """
    Number of the nearest ancestor that is in the trace; one that never ended or was merged is passed over. 0: the transaction.

    The answer is added to ``numbers`` for those that were passed over, so that each is passed over once.
    """
    ancestor = span.own_parent
    number = None if ancestor is None else numbers.get(id(ancestor))
    if number is not None:
        return number
    passed = []
    while ancestor is not None and (number := numbers.get(id(ancestor))) is None:
        passed.append(id(ancestor))
        ancestor = ancestor.own_parent
    number = number or 0
    numbers.update(dict.fromkeys(passed, number))
    return number
