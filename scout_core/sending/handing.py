"""
The recordings of a child process, as bytes for its parent, which counts and sends them as if they were its own.

So a child that lives as long as one job starts no thread and opens no connection, and its jobs compete with those of all other
children for the places of traces. JSON, because no class of the application may be imported in the parent for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from attrs import asdict

from scout_core.classes import class_path
from scout_core.measuring.error_report import ErrorReport, RelatedException
from scout_core.measuring.trace_report import SpanRepeat
from scout_core.recording.counted import Counted
from scout_core.recording.errors.recorded import RecordedErrors
from scout_core.recording.errors.reports import reports_of
from scout_core.recording.from_trace import exception_of
from scout_core.recording.limits.overflow import MOST_BRIEFS
from scout_core.recording.repeats import Repeats
from scout_core.recording.span import Span
from scout_core.recording.stacks import stacks_of
from scout_core.recording.trace.context import TraceContext
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest
from scout_core.text.tags import clean_tags

if TYPE_CHECKING:
    from scout_core.recording.tracer import Tracer

Facts = dict[str, Any]  # Any: JSON

_PLAIN: Final = (str, int, float, bool, type(None))
_COUNTERS: Final = tuple(name for name in Counted.__slots__ if name not in ("entered", "left"))
"""All counters of a tracer but those of its inbox."""


def pack(tracer: Tracer) -> bytes:
    """Return everything that has ended in this process; empty without anything. It stays where it is: see ``forget``."""
    tracer.read_exceptions()
    transactions = [_facts_of(transaction) for transaction in list(tracer.inbox)]
    briefs = [
        (operation, stop_ns - start_ns, is_error) for operation, start_ns, stop_ns, is_error, _ in tracer.overflow
    ]
    counters = {name: count for name in _COUNTERS if (count := getattr(tracer, name))}
    if not (transactions or briefs or counters):
        return b""
    return json.dumps({"transactions": transactions, "briefs": briefs, "counters": counters}).encode()


def forget(tracer: Tracer) -> None:
    """Drop what has been packed, because it has been handed over: nothing is counted twice."""
    tracer.inbox.clear()
    tracer.overflow.clear()
    for name in Counted.__slots__:
        setattr(tracer, name, 0)


def unpack(packed: bytes, tracer: Tracer) -> None:
    """
    Record what a child has packed.

    Raises:
        ValueError: it is incomplete.
        LookupError, TypeError: it is something else.
    """
    found = json.loads(packed)
    transactions = [_transaction_of(facts, tracer) for facts in found["transactions"]]  # first what may be interrupted
    for name, count in found["counters"].items():
        setattr(tracer, name, getattr(tracer, name) + count)
    for operation, duration_ns, is_error in found["briefs"]:
        if len(tracer.overflow) < MOST_BRIEFS:
            tracer.overflow.append((operation, 0, duration_ns, is_error, None))
        else:
            tracer.refused += 1
    for transaction in transactions:
        tracer.finish(transaction)


def _facts_of(transaction: Transaction) -> Facts:
    spans = list(transaction.spans)
    numbers = {id(span): number for number, span in enumerate(spans, 1)}
    errors = transaction.raised
    return {
        **_span_facts(transaction, {}),
        "id": transaction.id,
        "started": transaction.started,
        "spans": [_span_facts(span, numbers) for span in spans],
        "merged": transaction.merged,
        "ignored": transaction.ignored,
        "request": transaction.request,
        "queued_at": transaction.queued_at,
        "errors": [] if errors is None else [asdict(report) for report in reports_of(errors, transaction)],
        "stacks": [(number, stack) for number, span in enumerate(spans, 1) if (stack := span.stack)],
        "stacks_beyond": transaction.own_stacks.beyond if hasattr(transaction, "own_stacks") else 0,
        "repeats": [asdict(repeat) for repeat in transaction.repeats],
        "beyond": 0 if errors is None else errors.beyond,
        "trace": getattr(transaction, "own_trace", None),
        "is_detached": transaction.is_detached,
        "started_by": transaction.started_by,
    }


def _span_facts(span: Span, numbers: Mapping[int, int]) -> Facts:
    parent = span.own_parent
    while parent is not None and id(parent) not in numbers:  # one that has not ended or was merged is passed over
        parent = parent.own_parent
    return {
        "operation": span.own_operation,
        "tags": _plain_tags(span.tags),
        "start_ns": span.start_ns,
        "stop_ns": span.stop_ns,
        "parent": 0 if parent is None else numbers[id(parent)],
        "error": None if span.error is None else class_path(span.error),
        "own_id": getattr(span, "own_id", None),
    }


def _plain_tags(tags: Mapping[Any, Any]) -> Facts:
    """Return tags as they are, and those that JSON does not know as a trace shows them."""
    if all(type(part) in _PLAIN for part in chain(tags.keys(), tags.values())):
        return dict(tags)
    return {
        key: value
        for name, tag in list(tags.items())
        for key, value in (
            {name: tag} if type(name) is str and type(tag) in _PLAIN else clean_tags({name: tag})[0]
        ).items()
    }


def _transaction_of(facts: Facts, tracer: Tracer) -> Transaction:
    found = Transaction(facts["operation"])
    _set_span(found, facts)
    found.tracer = tracer
    found.transaction = found
    found.id = facts["id"]
    found.started = facts["started"]
    found.spans = [Span(of["operation"]) for of in facts["spans"]]
    for span, of in zip(found.spans, facts["spans"], strict=True):
        _set_span(span, of)
        span.transaction = found
        span.own_parent = found.spans[of["parent"] - 1] if of["parent"] else found
    found.merged = facts["merged"]
    found.ignored = facts["ignored"]
    found.request = None if facts["request"] is None else WebRequest(*facts["request"])
    found.queued_at = facts["queued_at"]
    if facts["errors"] or facts["beyond"]:
        found.raised = RecordedErrors.of_reports(tuple(map(_report_of, facts["errors"])), facts["beyond"])
    for number, frames in facts["stacks"]:
        span = found.spans[number - 1]
        stacks_of(found).found[id(span)] = span, tuple(map(tuple, frames))
    if facts["stacks_beyond"]:
        stacks_of(found).beyond = facts["stacks_beyond"]
    if facts["repeats"]:
        found.own_repeats = Repeats(found, tuple(SpanRepeat(**repeat) for repeat in facts["repeats"]))
    if facts["trace"] is not None:
        found.own_trace = TraceContext(*facts["trace"])
    found.is_detached = facts["is_detached"]
    found.started_by = facts["started_by"]
    found.is_closed = found.is_finished = True
    return found


def _set_span(span: Span, facts: Facts) -> None:
    span.own_tags = facts["tags"]
    span.start_ns = facts["start_ns"]
    span.stop_ns = facts["stop_ns"]
    span.error = None if facts["error"] is None else exception_of(facts["error"])
    if facts["own_id"] is not None:
        span.own_id = facts["own_id"]


def _report_of(facts: Facts) -> ErrorReport:
    related = tuple(RelatedException(**_in_tuples(of)) for of in facts.pop("related"))
    return ErrorReport(**_in_tuples(facts), related=related)


def _in_tuples(facts: Facts) -> Facts:
    """Return the facts of an exception with tuples, as they were."""
    return {
        **facts,
        "frames": tuple(tuple(frame) for frame in facts["frames"]),
        "in_app": tuple(facts["in_app"]),
        "notes": tuple(facts["notes"]),
    }
