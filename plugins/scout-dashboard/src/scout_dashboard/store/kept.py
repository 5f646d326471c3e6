"""Reads kept traces: rows for lists, and one whole trace."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from operator import attrgetter
from typing import Final

from attrs import frozen

from scout_core.measuring.report import Trace
from scout_dashboard.errors import StoreError
from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader, Row
from scout_dashboard.store.writing import trace_body

_COLUMNS: Final = "id, app, name, host, start, duration, queue_time, is_error, score, policies, span_count"
ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "newest": ("start",),
    "score": ("score", "start"),
    "duration": ("duration", "start"),
}
"""What to sort by, each with the highest first."""


@frozen(kw_only=True)
class TraceRow:
    """One line of a list of traces. Times in seconds."""

    id: str
    app: str
    name: str
    host: str
    start: float
    duration: float
    queue_time: float | None
    is_error: bool
    score: float
    policies: dict[str, float]
    span_count: int


def list_traces(
    reader: Reader, when: Range, *, order: str, limit: int, name: str | None = None, web: bool | None = None
) -> list[TraceRow]:
    """
    The first traces of the range in this order.

    Args:
        order: a key of ``ORDERS``.
        name: only those of this name.
        web: only those of web transactions, or only those of jobs.
    """
    wanted: dict[str, object] = {"name = ?": name, "app = ?": when.app, "is_web = ?": web}
    wanted = {condition: value for condition, value in wanted.items() if value is not None}
    conditions = " AND ".join(["minute >= ?", "minute < ?", *wanted])
    sorting = ", ".join(f"{column} DESC" for column in ORDERS[order])
    sql = f"SELECT {_COLUMNS} FROM trace WHERE {conditions} ORDER BY {sorting} LIMIT ?"  # noqa: S608  # constants alone
    values = (when.start, when.end, *wanted.values(), limit)
    found = [_row(row) for row in reader.rows("traces", sql, values, start=when.start, end=when.end)]
    return sorted(found, key=attrgetter(*ORDERS[order]), reverse=True)[:limit]


def find_trace(reader: Reader, trace_id: str) -> tuple[TraceRow, Trace] | None:
    """
    The trace of this id; None when there is none.

    Raises:
        StoreError: what is stored of it cannot be read.
    """
    sql = f"SELECT {_COLUMNS}, body FROM trace WHERE id = ?"  # noqa: S608  # constants alone
    for *row, body in reader.rows("traces", sql, (trace_id,)):
        try:
            return _row(tuple(row)), trace_body(body)
        except (ValueError, zlib.error) as error:
            raise StoreError(f"trace {trace_id} is damaged in the store: {error}") from error
    return None


def _row(row: Row) -> TraceRow:
    trace_id, app, name, host, start, duration, queue_time, is_error, score, policies, span_count = row
    return TraceRow(
        id=trace_id,
        app=app,
        name=name,
        host=host,
        start=start,
        duration=duration,
        queue_time=queue_time,
        is_error=bool(is_error),
        score=score,
        policies=json.loads(policies),
        span_count=span_count,
    )
