"""A stored trace as the transaction that policies score: everything that left the process, nothing that did not."""

from __future__ import annotations

from functools import cache
from typing import Final

from scout_core import Span, Transaction, WebRequest
from scout_core.measuring.report import SpanRecord, Trace

_BEGAN_NS: Final = 1_000_000_000
"""Of a monotonic clock: any moment but 0, which stands for not begun."""


def transaction_of(trace: Trace) -> Transaction:
    """
    The finished transaction.

    Tags are cleaned and secrets masked, exceptions are stand-ins of the same name, and of a web request the path alone is known.
    """
    made = Transaction(trace.name)
    made.tags.update(trace.tags)
    made.id = int(trace.id, 16)
    made.transaction = made
    made.started = trace.start
    made.start_ns = _BEGAN_NS
    made.stop_ns = _BEGAN_NS + round(trace.duration * 1e9)
    made.queue_time = trace.queue_time
    made.error = None if trace.error is None else _exception(trace.error.exception)
    path = trace.tags.get("path")
    if made.is_web and isinstance(path, str):
        made.request = WebRequest(path, "", None, None, None, None)
    made.spans = _spans(trace, made)
    made.merged = {
        operation: [count, round(seconds * 1e9), round(seconds * 1e9), 0]
        for operation, (count, seconds) in trace.merged.items()
    } or None
    made.is_closed = made.is_finished = True
    return made


def _spans(trace: Trace, made: Transaction) -> list[Span]:
    """In order of their end, as an agent has them."""
    spans = {record.id: _span(record, made) for record in trace.spans}
    for record in trace.spans:
        parent = spans.get(record.parent, made)
        spans[record.id].parent = parent if parent is not spans[record.id] else made
    return sorted(spans.values(), key=lambda span: span.stop_ns)


def _span(record: SpanRecord, made: Transaction) -> Span:
    span = Span(record.operation)
    span.tags.update(record.tags)
    span.transaction = made
    span.start_ns = _BEGAN_NS + round(record.start * 1e9)
    span.stop_ns = span.start_ns + round(record.duration * 1e9)
    span.error = None if record.error is None else _exception(record.error)
    return span


@cache
def _exception(path: str) -> type[Exception]:
    """A class of that name: the application's own cannot be imported here."""
    module, _, name = path.rpartition(".")
    return type(name, (Exception,), {"__module__": module or "builtins"})
