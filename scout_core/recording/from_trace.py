"""A stored trace as the transaction that it was: everything that left the process, and nothing that did not."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from scout_core.recording.errors.recorded import RecordedErrors
from scout_core.recording.repeats import Repeats
from scout_core.recording.span import Span
from scout_core.recording.stacks import stacks_of
from scout_core.recording.trace.context import TraceContext
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest

if TYPE_CHECKING:
    from scout_core.measuring.report import SpanRecord, Trace

_START_NS: Final = 1_000_000_000
"""Start of every rebuilt transaction on its monotonic clock; not 0, which marks one that has not started."""


def transaction_from(trace: Trace) -> Transaction:
    """Return the finished transaction; see ``Transaction.from_trace``."""
    rebuilt = Transaction(trace.name, **trace.tags)
    rebuilt.id = int(trace.id, 16)
    rebuilt.transaction = rebuilt
    rebuilt.started = trace.start
    rebuilt.start_ns = _START_NS
    rebuilt.stop_ns = _START_NS + round(trace.duration * 1e9)
    rebuilt.queue_time = trace.queue_time
    rebuilt.error = None if trace.error is None else exception_of(trace.error.exception)
    rebuilt.raised = RecordedErrors.of_reports(trace.errors, trace.errors_left_out) if trace.errors else None
    path = trace.tags.get("path")
    if rebuilt.is_web and isinstance(path, str):
        rebuilt.request = WebRequest(path, "")
    rebuilt.spans = _spans(trace, rebuilt)
    rebuilt.merged = {
        operation: [count, round(seconds * 1e9), round(seconds * 1e9), 0]
        for operation, (count, seconds) in trace.merged.items()
    } or None
    if re.fullmatch("[0-9a-f]{16}", trace.started_by):
        rebuilt.is_detached, rebuilt.started_by = True, int(trace.started_by, 16)
    if trace.trace_id:
        rebuilt.own_trace = TraceContext(trace.trace_id, trace.parent_span_id, 0, "")
    if trace.repeats:
        rebuilt.own_repeats = Repeats(rebuilt, trace.repeats)
    rebuilt.is_closed = rebuilt.is_finished = True
    return rebuilt


def _spans(trace: Trace, transaction: Transaction) -> list[Span]:
    """Return the spans in the order in which they ended, as in a recorded transaction."""
    spans = {record.id: _span(record, transaction) for record in trace.spans}
    for record in trace.spans:
        span = spans[record.id]
        parent = spans.get(record.parent, transaction)
        span.own_parent = parent if parent is not span else transaction
    for stack in trace.stacks:
        if stack.span in spans:
            stacks_of(transaction).found[id(spans[stack.span])] = spans[stack.span], stack.frames
    return sorted(spans.values(), key=lambda span: span.stop_ns)


def _span(record: SpanRecord, transaction: Transaction) -> Span:
    span = Span(record.operation, **record.tags)
    span.transaction = transaction
    span.start_ns = _START_NS + round(record.start * 1e9)
    span.stop_ns = span.start_ns + round(record.duration * 1e9)
    span.error = None if record.error is None else exception_of(record.error)
    return span


@cache
def exception_of(path: str) -> type[Exception]:
    """Return a class of that name: the application's own cannot be imported here."""
    module, _, name = path.rpartition(".")
    return type(name, (Exception,), {"__module__": module or "builtins"})
