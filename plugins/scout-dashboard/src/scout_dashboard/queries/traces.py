"""Kept traces: rows for lists, and the details of one trace."""

from __future__ import annotations

from scout_core.measuring.report import SpanRepeat, Trace
from scout_core.operations import is_web, kind_of
from scout_dashboard.caps.cutting import Cutter
from scout_dashboard.caps.traces import spans_within
from scout_dashboard.errors import NotFound
from scout_dashboard.queries import tree
from scout_dashboard.queries.errors import errors_of
from scout_dashboard.queries.metrics import Facts, milliseconds
from scout_dashboard.queries.names import label_of
from scout_dashboard.queries.phrases import describe_evidence, group_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.related import Related, related_to
from scout_dashboard.store.traces import ORDERS, TraceRow, count_traces, find_row, find_trace, is_trace_id, list_traces

SORTS = tuple(ORDERS)
MAX_ROWS = 10_000
"""Maximum number of rows in one answer."""
_RECENT = 200
_MOST_RELATED = 100


def rows(reader: Reader, when: Range, *, name: str, order: str, limit: int) -> list[Facts]:
    """Return the first traces of one name in this order."""
    return [row_facts(row) for row in list_traces(reader, when, order=order, limit=limit, name=name)]


def page(reader: Reader, when: Range, *, name: str | None, order: str, limit: int) -> Facts:
    """Return the first traces of one name or all, and their total number."""
    found = list_traces(reader, when, order=order, limit=limit, name=name)
    return {"rows": [row_facts(row) for row in found], "total": count_traces(reader, when, name=name), "sort": order}


def recent(reader: Reader, when: Range, *, limit: int) -> list[Facts]:
    """
    Return the best of the newest traces, starting with the best of each name so that one name does not fill the list.

    Only the newest traces are considered; otherwise a high score would stay on the page for a week.
    """
    ranked = sorted(list_traces(reader, when, order="newest", limit=_RECENT), key=lambda row: -row.score)
    best = {row.name: row for row in reversed(ranked)}
    ranked.sort(key=lambda row: best[row.name] is not row)
    return [row_facts(row) for row in ranked[:limit]]


def detail(reader: Reader, trace_id: str) -> Facts:
    """
    Return a trace with its spans.

    Raises:
        NotFound: the trace was not kept, or has expired.
    """
    found = find_trace(reader, trace_id)
    if found is None:
        raise NotFound(f"trace {trace_id[:40]!r} is not stored: it was not kept, or it has expired")
    row, trace = found
    trace = spans_within(trace, Cutter())  # an earlier version stored any number
    spans = tree.spans_of(trace)
    related, count = related_to(reader, trace, limit=_MOST_RELATED)
    return {
        "trace": row_facts(row)
        | {
            "tags": trace.tags,
            "error": _error(trace),
            "errors": errors_of(trace),
            "errors_left_out": trace.errors_left_out,
            "stacks_left_out": trace.stacks_left_out,
            "trace_id": trace.trace_id,
            "parent_span_id": trace.parent_span_id,
            "started_by": _starter(reader, trace.started_by),
        },
        "related": [_related(other, row, spans) for other in related],
        "related_count": count,
        "repeats": [_repeat(repeat) for repeat in trace.repeats],
        "spans": spans,
        "summary": tree.summary(spans),
        "why": _why(trace),
        "group": group_of(trace),
        "stats": trace.seen,
        "merged": _merged(trace),
    }


def _starter(reader: Reader, trace_id: str) -> Facts | None:
    """Return the transaction that started a detached one: its id, and its name if its trace is stored; None: none is known."""
    if not is_trace_id(trace_id):
        return None
    row = find_row(reader, trace_id)
    return {
        "id": trace_id,
        "name": None if row is None else row.name,
        "label": None if row is None else label_of(row.name),
    }


def _related(related: Related, trace: TraceRow, spans: list[Facts]) -> Facts:
    caller = next((span["operation"] for span in spans if span["id"] == related.called_from), None)
    return row_facts(related.row) | {
        "is_caller": related.is_caller,
        "called_from": caller,
        "called_from_span": related.called_from,
        "is_job": not is_web(related.row.name),
        "starts_after_ms": milliseconds(related.row.start - trace.start),
    }


def _repeat(repeat: SpanRepeat) -> Facts:
    return {
        "operation": repeat.operation,
        "kind": kind_of(repeat.operation),
        "statement": repeat.statement,
        "count": repeat.count,
        "total_ms": milliseconds(repeat.seconds),
        "file": repeat.file,
        "line": repeat.line,
        "function": repeat.function,
    }


def row_facts(row: TraceRow) -> Facts:
    """Return a row of a list."""
    return {
        "id": row.id,
        "name": row.name,
        "label": label_of(row.name),
        "app": row.app,
        "host": row.host,
        "start": row.start,
        "duration_ms": milliseconds(row.duration),
        "queue_ms": milliseconds(row.queue_time),
        "is_error": row.is_error,
        "score": round(row.score, 3),
        "policies": {policy: round(points, 3) for policy, points in row.policies.items()},
        "span_count": row.span_count,
    }


def _error(trace: Trace) -> Facts | None:
    if trace.error is None:
        return None
    frames = [{"file": file, "line": line, "function": function} for file, line, function in trace.error.frames]
    return {"exception": trace.error.exception, "message": trace.error.message, "frames": frames}


def _why(trace: Trace) -> list[Facts]:
    given = sum(points for points in trace.policies.values() if points > 0)
    return [
        {
            "policy": policy,
            "points": round(points, 3),
            "share": round(points / given, 6) if points > 0 else 0.0,
            "evidence": describe_evidence(policy, trace, trace.seen),
        }
        for policy, points in sorted(trace.policies.items(), key=lambda item: (-item[1], item[0]))
    ]


def _merged(trace: Trace) -> list[Facts]:
    """Return the spans beyond the limit of one trace, summed by operation, the most expensive first."""
    return [
        {"operation": operation, "kind": kind_of(operation), "count": count, "total_ms": milliseconds(seconds)}
        for operation, (count, seconds) in sorted(trace.merged.items(), key=lambda item: (-item[1][1], item[0]))
    ]
