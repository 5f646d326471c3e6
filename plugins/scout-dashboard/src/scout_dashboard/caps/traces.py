"""The limits of one trace: its spans, tags and errors."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from scout_core.measuring.report import ErrorReport, SpanRecord, Trace
from scout_dashboard.caps.cutting import MAX_ITEMS, Cutter

MAX_SPANS: Final = 5_000
"""Spans that are listed; the others are merged by operation."""
MAX_ERRORS: Final = 20
"""Errors beside the first one."""


def trace_within(trace: Trace, cutter: Cutter) -> Trace:
    """Return the trace within the limits."""
    trace = spans_within(trace, cutter)
    errors = cutter.first(trace.more_errors, "errors of a trace", MAX_ERRORS)
    return evolve(
        trace,
        spans=tuple(_span(span, cutter) for span in trace.spans),
        tags=cutter.some(trace.tags, "tags"),
        policies=cutter.summed(trace.policies, "policies of a trace"),
        seen=cutter.some(trace.seen, "figures of a trace"),
        merged=cutter.merged(trace.merged),
        stacks=tuple(
            evolve(stack, frames=cutter.first(stack.frames, "calls of a span"), in_app=stack.in_app[:MAX_ITEMS])
            for stack in cutter.first(trace.stacks, "slow spans")
        ),
        repeats=cutter.first(trace.repeats, "repeated calls"),
        error=None if trace.error is None else error_within(trace.error, cutter),
        more_errors=tuple(error_within(error, cutter) for error in errors),
        errors_left_out=trace.errors_left_out + len(trace.more_errors) - len(errors),
    )


def spans_within(trace: Trace, cutter: Cutter) -> Trace:
    """Return the trace with its first spans, and with the others merged by operation."""
    if len(trace.spans) <= MAX_SPANS:
        return trace
    spans = sorted(trace.spans, key=lambda span: (span.start, span.id))
    cutter.count("spans of a trace", MAX_SPANS, len(spans) - MAX_SPANS)
    merged = dict(trace.merged)
    for span in spans[MAX_SPANS:]:
        count, seconds = merged.get(span.operation, (0, 0.0))
        merged[span.operation] = count + 1, seconds + span.duration
    return evolve(trace, spans=tuple(spans[:MAX_SPANS]), merged=merged)


def _span(span: SpanRecord, cutter: Cutter) -> SpanRecord:
    tags = cutter.some(span.tags, "tags")
    return span if tags is span.tags else evolve(span, tags=tags)


def error_within(error: ErrorReport, cutter: Cutter) -> ErrorReport:
    """Return the error within the limits."""
    return evolve(
        error,
        frames=cutter.first(error.frames, "frames of an error"),
        in_app=error.in_app[:MAX_ITEMS],
        notes=cutter.first(error.notes, "notes of an error"),
        related=tuple(
            evolve(
                related,
                frames=cutter.first(related.frames, "frames of an error"),
                in_app=related.in_app[:MAX_ITEMS],
                notes=cutter.first(related.notes, "notes of an error"),
            )
            for related in cutter.first(error.related, "related exceptions")
        ),
        left_out=cutter.some(error.left_out, "parts left out"),
    )
