"""The spans of a trace as a tree in reading order, and a summary of equal calls."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from scout_core.measuring.report import SpanRecord, SpanStack, Trace
from scout_core.operations import kind_of
from scout_dashboard.queries.errors import frames_of
from scout_dashboard.queries.metrics import Facts, mean_ms, milliseconds
from scout_dashboard.queries.names import DETAILS


@define
class _Call:
    count: int = 0
    total: float = 0.0
    exclusive: float = 0.0
    longest: float = 0.0


def spans_of(trace: Trace) -> list[Facts]:
    """
    Return the transaction itself as id 0, then each span below its parent, in order of start.

    A span whose parent is missing, or which is its own ancestor, is shown below the transaction, so that no span is hidden.
    """
    children: dict[int, list[SpanRecord]] = {}
    for span in sorted(trace.spans, key=lambda span: (span.start, span.id)):
        children.setdefault(span.parent, []).append(span)
    root = SpanRecord(
        id=0, parent=0, operation=trace.name, start=0.0, duration=trace.duration, tags=trace.tags, error=_error(trace)
    )
    stacks = {stack.span: stack for stack in trace.stacks}
    found: list[Facts] = []
    placed: set[int] = set()
    waiting = [(root, 0)]
    strays = sorted(trace.spans, key=lambda span: span.start, reverse=True)
    while waiting or strays:
        span, depth = waiting.pop() if waiting else (strays.pop(), 1)
        if span.id in placed:
            continue
        placed.add(span.id)
        below = [child for child in children.get(span.id, ()) if child.id not in placed]
        found.append(_facts(span, depth, below, stacks.get(span.id)))
        waiting += [(child, depth + 1) for child in reversed(below)]
    return found


def summary(spans: Sequence[Facts]) -> list[Facts]:
    """Merge calls with the same operation and detail; the largest own time comes first."""
    calls: dict[tuple[str, str | None], _Call] = {}
    for span in spans:
        call = calls.setdefault((span["operation"], _detail(span)), _Call())
        call.count += 1
        call.total += span["duration_ms"]
        call.exclusive += span["exclusive_ms"]
        call.longest = max(call.longest, span["duration_ms"])
    return [
        {
            "operation": operation,
            "kind": kind_of(operation),
            "detail": detail,
            "count": call.count,
            "total_ms": round(call.total, 3),
            "exclusive_ms": round(call.exclusive, 3),
            "mean_ms": mean_ms(call.total / 1_000, call.count),
            "max_ms": round(call.longest, 3),
        }
        for (operation, detail), call in sorted(calls.items(), key=lambda item: (-item[1].exclusive, item[0][0]))
    ]


def _facts(span: SpanRecord, depth: int, below: Sequence[SpanRecord], stack: SpanStack | None) -> Facts:
    return {
        "id": span.id,
        "parent": None if span.id == 0 else span.parent,
        "depth": depth,
        "operation": span.operation,
        "kind": kind_of(span.operation),
        "start_ms": milliseconds(span.start),
        "duration_ms": milliseconds(span.duration),
        "exclusive_ms": milliseconds(span.duration - _covered(span, below)),
        "tags": span.tags,
        "error": span.error,
        "stack": [] if stack is None else frames_of(stack.frames, stack.in_app),
    }


def _covered(span: SpanRecord, below: Sequence[SpanRecord]) -> float:
    """Return the seconds of the span during which at least one child ran; concurrent children count once."""
    end = span.start + span.duration
    covered, until = 0.0, span.start
    for child in below:  # in order of start
        first, last = max(child.start, until), min(child.start + child.duration, end)
        if last > first:
            covered += last - first
            until = last
    return min(covered, span.duration)


def _detail(span: Facts) -> str | None:
    for tag in DETAILS:
        value = span["tags"].get(tag)
        if span["id"] and isinstance(value, str) and value:
            return value
    return None


def _error(trace: Trace) -> str | None:
    return trace.error.exception if trace.error is not None else None
