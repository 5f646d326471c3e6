"""
Apply the bounds to what has ended, on the application's thread: to the spans of a transaction eight at a time, and to itself.

Hot code, so everything plain and short is measured in one loop without a call. Everything that is cut is counted by the tracer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.recording.limits.bounds import LONGEST_NAME, LONGEST_TEXT, MOST_TEXT, Bounded, bounded_text
from scout_core.recording.web import WebRequest
from scout_core.tag_values import LARGEST, MOST_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scout_core.recording.span import Span
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

SPAN_SIZE: Final = 400
"""Bytes of a span without tags, about."""
LONGEST_FACTS: Final = 4_000
"""Characters in all facts of a request that need no closer look."""


def bound_transaction(transaction: Transaction, tracer: Tracer) -> int:
    """Shorten what a finished transaction holds; return its size in bytes, about, which is stored there too."""
    spans = transaction.spans
    bound_spans(transaction, tracer, (transaction, *spans[transaction.bounded :]) if spans else (transaction,))
    request = transaction.own_request
    if request is not None:
        try:
            is_short = len("".join(request)) < LONGEST_FACTS
        except TypeError:  # facts that are not texts
            is_short = False
        if not is_short:
            _cut_request(transaction, request, tracer)
    transaction.size = size = transaction.size + SPAN_SIZE * len(spans)
    if type(size) is not int:
        raise TypeError("the size of a transaction has been set")  # a nan would fill the inbox forever
    return size


def bound_ended(transaction: Transaction) -> None:
    """Shorten what the spans hold that have ended since the last time."""
    begin, transaction.bounded = transaction.bounded, len(transaction.spans)
    bound_spans(transaction, transaction.tracer, transaction.spans[begin : transaction.bounded])


def bound_spans(transaction: Transaction, tracer: Tracer, spans: Iterable[Span]) -> None:
    """Shorten tags and operations of spans that have ended, and add them to the size of their transaction."""
    size = transaction.size
    for span in spans:
        if len(span.own_operation) > LONGEST_NAME:
            cut_operation(span, tracer)
        tags = span.own_tags
        if not tags:
            continue
        before = size
        is_plain = False
        try:
            for value in tags.values():
                if type(value) is str:
                    size += len(value)
                elif type(value) is int:
                    if not -LARGEST < value < LARGEST:
                        break
                elif value is not None and type(value) is not bool and type(value) is not float:
                    break
            else:
                is_plain = (
                    size - before <= LONGEST_TEXT and len(tags) <= MOST_TAGS
                )  # no text is longer than all together
        except RuntimeError:  # another thread changes them
            pass
        if not is_plain:
            size = before + _cut_tags(span, tracer)
        if size > MOST_TEXT and span is not transaction:
            size = before
            tracer.tags_dropped += len(span.own_tags)
            span.own_tags = {}
    transaction.size = size


def cut_operation(span: Span, tracer: Tracer) -> None:
    """Shorten an operation that is too long."""
    span.own_operation = span.own_operation[:LONGEST_NAME]
    tracer.values_cut += 1


def _cut_tags(span: Span, tracer: Tracer) -> int:
    try:
        found = Bounded(span.own_tags)
    except Exception:  # noqa: BLE001  # another thread changes them, or a fault of our own: the application's call must return
        tracer.tags_dropped += len(span.own_tags)
        span.own_tags = {}
        return 0
    if found.is_changed:
        span.own_tags = found.tags
        tracer.values_cut += found.cut
        tracer.tags_dropped += found.dropped
    return found.size


def _cut_request(transaction: Transaction, request: WebRequest, tracer: Tracer) -> None:
    facts = [bounded_text(fact, LONGEST_TEXT) for fact in request]
    tracer.values_cut += sum(type(fact) is str and len(fact) == LONGEST_TEXT for fact in facts)
    transaction.own_request = WebRequest(*facts)
    transaction.size += sum(len(fact) for fact in facts if type(fact) is str)
