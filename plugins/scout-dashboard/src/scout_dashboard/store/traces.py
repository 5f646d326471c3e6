"""Reads kept traces: rows for lists, and complete traces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from attrs import frozen

from scout_core.measuring.report import Trace
from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.ranges import Range
from scout_dashboard.store.applications import of_app
from scout_dashboard.store.bodies import unpack
from scout_dashboard.store.bulk import quoted
from scout_dashboard.store.files import DAY
from scout_dashboard.store.reader import Reader, Row

COLUMNS: Final = "id, app, name, host, start, duration, queue_time, is_error, score, policies, span_count, report"
"""Columns of a row, as ``row_of`` takes them."""
KINDS: Final[Mapping[str, type]] = dict.fromkeys(("start", "duration", "queue_time", "score"), float)
"""Types of the columns that are not texts or whole numbers."""
ORDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "newest": ("start",),
    "score": ("score", "start"),
    "duration": ("duration", "start"),
}
"""Order to its columns, all in descending order."""


_ID_LENGTH: Final = 16


@frozen(kw_only=True)
class TraceRow:
    """A trace without its spans, for lists. Times in seconds."""

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
    report: str
    """``<instance>-<number>`` of its report; empty for traces stored by a version that did not record it."""

    @property
    def instance(self) -> str:
        """Instance of the process that kept it."""
        return self.report.rpartition("-")[0]


def list_traces(
    reader: Reader, when: Range, *, order: str, limit: int, name: str | None = None, web: bool | None = None
) -> list[TraceRow]:
    """
    Return the first traces of the range in this order.

    Args:
        order: a key of ``ORDERS``.
        name: select only this name.
        web: True selects only web transactions, False only jobs.
    """
    where, wanted = conditions(when, name=name, web=web)
    if order == "newest" and name is None:
        where = where.replace(
            "minute", "+minute"
        )  # without that index, rows are read in order, and only as many as are wanted
    sorting = ", ".join(f"trace.{column} DESC" for column in ORDERS[order])  # not the text that stands for it
    columns = COLUMNS.split(", ")
    selected = ", ".join(f"{quoted(column, KINDS.get(column, str))} AS {column}" for column in columns)
    key = itemgetter(*(columns.index(column) for column in ORDERS[order]))
    found: list[Row] = []
    for day in reversed(reader.days("traces", start=when.start, end=when.end)):
        least = () if len(found) < limit else (found[-1][columns.index(ORDERS[order][0])],)
        clause = f" AND trace.{ORDERS[order][0]} >= ?" if least else ""
        rest = f"FROM (SELECT {selected} FROM trace WHERE {where}{clause} ORDER BY {sorting} LIMIT ?)"  # noqa: S608  # only constants
        rows = reader.read("traces", columns, rest, (*wanted, *least, limit), start=day * DAY, end=(day + 1) * DAY)
        found = sorted([*found, *map(_unquoted, rows)], key=key, reverse=True)[:limit]
    return [row_of(row) for row in found]


def count_traces(reader: Reader, when: Range, *, name: str | None = None, web: bool | None = None) -> int:
    """Return the number of traces that ``list_traces`` would return without a limit."""
    where, wanted = conditions(when, name=name, web=web)
    sql = f"SELECT count(*) FROM trace WHERE {where}"  # noqa: S608  # only constants
    return sum(count for (count,) in reader.rows("traces", sql, wanted, start=when.start, end=when.end))


def find_trace(reader: Reader, trace_id: str) -> tuple[TraceRow, Trace] | None:
    """Return the trace with this id; None when it is not stored."""
    sql = f"SELECT {COLUMNS}, body FROM trace WHERE id = ?"  # noqa: S608  # only constants
    for *row, body in reader.rows("traces", sql, (trace_id,)):
        return row_of(tuple(row)), unpack(body, Trace)
    return None


def find_row(reader: Reader, trace_id: str) -> TraceRow | None:
    """Return the same without its spans."""
    sql = f"SELECT {COLUMNS} FROM trace WHERE id = ?"  # noqa: S608  # only constants
    return next((row_of(tuple(row)) for row in reader.rows("traces", sql, (trace_id,))), None)


def is_trace_id(text: str) -> bool:
    """Whether it can be the id of a trace: a report may contain anything."""
    return len(text) == _ID_LENGTH and not text.strip("0123456789abcdef")


def load_traces(reader: Reader, *, start: float, end: float, app: str | None = None) -> list[tuple[TraceRow, Trace]]:
    """Return all traces kept in these minutes, in order of their end."""
    sql = f"SELECT {COLUMNS}, body FROM trace WHERE minute >= ? AND minute < ?"  # noqa: S608  # only constants
    found = [
        (row_of(tuple(row)), body)
        for *row, body in reader.rows("traces", sql, (int(start // 60) * 60, end), start=start - 60, end=end)
        if (row[1] != PROBE_APP if app is None else row[1] == app)
    ]
    found.sort(key=lambda pair: pair[0].start + pair[0].duration)
    return [(row, unpack(body, Trace)) for row, body in found]


def traces_of_same_report(reader: Reader, row: TraceRow) -> list[TraceRow]:
    """Return the traces of the same report, best first, including this one."""
    if not row.report:
        return [row]
    sql = f"SELECT {COLUMNS} FROM trace WHERE report = ?"  # noqa: S608  # only constants
    end = row.start + row.duration
    found = [
        row_of(other) for other in reader.rows("traces", sql, (row.report,), start=end - 86_400, end=end + 2 * 86_400)
    ]
    return sorted(found, key=lambda other: -other.score)


def ids_with_prefix(reader: Reader, prefix: str, *, limit: int) -> list[str]:
    """Return the ids of traces that start with these hexadecimal digits, ignoring case."""
    first, last = prefix.lower(), prefix.lower().ljust(_ID_LENGTH, "f")
    sql = "SELECT id FROM trace WHERE id >= ? AND id <= ? LIMIT ?"
    return [trace_id for (trace_id,) in reader.rows("traces", sql, (first, last, limit))][:limit]


def last_kept_before(reader: Reader, row: TraceRow) -> float | None:
    """Return when a trace of this name was last kept before this one, by any process of the application; None if never."""
    sql = "SELECT max(start) FROM trace WHERE name = ? AND app = ? AND start < ?"
    found = [start for (start,) in reader.rows("traces", sql, (row.name, row.app, row.start)) if start is not None]
    return max(found, default=None)


def conditions(when: Range, *, name: str | None = None, web: bool | None = None) -> tuple[str, tuple[object, ...]]:
    """Return the SQL that selects traces of a range, and its values; ``name`` and ``web`` are as for ``list_traces``."""
    app_condition, (app,) = of_app(when.app)
    wanted: dict[str, object] = {"name = ?": name, app_condition: app, "is_web = ?": web}
    wanted = {condition: value for condition, value in wanted.items() if value is not None}
    return " AND ".join(["minute >= ?", "minute < ?", *wanted]), (when.start, when.end, *wanted.values())


def _unquoted(row: Sequence[Any]) -> Row:  # Any: JSON
    return tuple(
        (None if value == "NULL" else float(value)) if column in KINDS else value
        for column, value in zip(COLUMNS.split(", "), row, strict=True)
    )


def row_of(row: Row) -> TraceRow:
    """Return a row of ``COLUMNS``."""
    trace_id, app, name, host, start, duration, queue_time, is_error, score, policies, span_count, report = row
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
        report=report,
    )
