"""Stored traces that belong to the same distributed trace: which of them called which."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from scout_core.measuring.report import Trace
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.traces import COLUMNS, TraceRow, row_of

_DAY: Final = 86_400.0


@frozen
class Related:
    """Another trace of the same distributed trace."""

    row: TraceRow
    is_caller: bool
    """One of its spans called the transaction in question."""
    called_from: int | None
    """The span of the transaction in question that called it, 0 for the transaction itself; None: none of them did."""


def related_to(reader: Reader, trace: Trace, *, limit: int) -> tuple[list[Related], int]:
    """Return the other stored traces of its distributed trace, in order of their start, and how many there are; a day around it."""
    if not trace.trace_id:
        return [], 0
    columns = ", ".join(f"trace.{column}" for column in COLUMNS.split(", "))
    sql = f"SELECT {columns}, parent, calls FROM member JOIN trace USING (id) WHERE member.trace_id = ? AND member.id != ?"  # noqa: S608  # only constants
    found = []
    for *row, parent, calls in reader.rows(
        "traces", sql, (trace.trace_id, trace.id), start=trace.start - _DAY, end=trace.start + trace.duration + _DAY
    ):
        other = row_of(tuple(row))
        is_caller = bool(trace.parent_span_id) and trace.parent_span_id in (other.id, *calls.split())
        found.append(Related(other, is_caller, 0 if parent == trace.id else trace.calls.get(parent)))
    found.sort(key=lambda related: (related.row.start, related.row.id))
    return found[:limit], len(found)
