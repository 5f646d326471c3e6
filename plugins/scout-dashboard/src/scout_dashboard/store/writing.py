"""Writes a report to the files of its day. Each function runs inside a transaction that its caller opened."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

from scout_core.measuring.report import Report, Trace
from scout_core.operations import is_web
from scout_core.sending.wire import CONVERTER
from scout_dashboard.store.levels import slices_of
from scout_dashboard.store.sums import COLUMNS, Sums, sums_of, sums_of_row

_MOST_CALLS = 500
"""Ids of a trace's spans that are stored, to find out which of them made a call."""
_HEX = "0123456789abcdef"
TOTAL_NAME = ""
"""Name of the series with the sum of an application's web transactions, or of its jobs; ``is_total`` distinguishes it."""


def is_known(connection: sqlite3.Connection, report_id: str) -> bool:
    """Return whether the report is stored already."""
    return connection.execute("SELECT 1 FROM report WHERE id = ?", (report_id,)).fetchone() is not None


def write_metrics(connection: sqlite3.Connection, report: Report) -> None:
    """Write everything except the traces."""
    connection.execute("INSERT INTO report (id) VALUES (?)", (report.id,))
    _write_app(connection, report)
    _write_process(connection, report)
    for (is_total, web, name), sums in _series(report):
        series = _series_id(connection, report.process.app, is_total=is_total, web=web, name=name)
        _add_to_rollups(connection, series, sums, at=report.end)


def write_traces(connection: sqlite3.Connection, report: Report) -> None:
    """Write the traces under the minute of the report's metrics; a trace that is already stored is not changed."""
    minute = int(report.end // 60) * 60
    connection.executemany(
        "INSERT OR IGNORE INTO trace (id, report, minute, app, is_web, name, host, start, duration, queue_time, is_error, score,"
        " policies, span_count, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_trace_row(trace, report, minute) for trace in report.traces),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO error (trace, number, handled, exception, message, file, line, function)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row for trace in report.traces for row in _error_rows(trace)),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO member (trace_id, id, parent, calls) VALUES (?, ?, ?, ?)",
        (_member_row(trace) for trace in report.traces if _is_id(trace.trace_id, 32)),
    )


def trace_body(packed: bytes) -> Trace:
    """Read the trace in a row's ``body``."""
    return CONVERTER.structure(json.loads(zlib.decompress(packed)), Trace)


def _error_rows(trace: Trace) -> Iterator[tuple[object, ...]]:
    for number, error in enumerate(trace.errors):
        file, line, function = error.place or ("", 0, "")
        yield trace.id, number, error.handled, error.exception, error.message, file, line, function


def _trace_row(trace: Trace, report: Report, minute: int) -> tuple[object, ...]:
    body = json.dumps(CONVERTER.unstructure(trace), separators=(",", ":")).encode()
    return (
        trace.id,
        report.id,
        minute,
        report.process.app,
        is_web(trace.name),
        trace.name,
        report.process.hostname,
        trace.start,
        trace.duration,
        trace.queue_time,
        trace.is_error,
        trace.score,
        json.dumps(trace.policies),
        len(trace.spans),
        zlib.compress(body, 3),  # a tenth of the size; a long trace is 300 kB of JSON
    )


def _member_row(trace: Trace) -> tuple[str, str, str, str]:
    calls = [span_id for span_id in trace.calls if _is_id(span_id, 16)]
    return trace.trace_id, trace.id, trace.parent_span_id, " ".join(calls[:_MOST_CALLS])


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and not text.strip(_HEX)


def _write_app(connection: sqlite3.Connection, report: Report) -> None:
    connection.execute(
        "INSERT INTO app (name, first, last, period) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " first = min(first, excluded.first), last = max(last, excluded.last), period = excluded.period",
        (report.process.app, report.start, report.end, report.end - report.start),
    )


def _write_process(connection: sqlite3.Connection, report: Report) -> None:
    facts = {
        "process": CONVERTER.unstructure(report.process),
        "plugins": CONVERTER.unstructure(report.plugins),
        "counters": CONVERTER.unstructure(report.counters),
        "left_out": report.left_out,
        "gauges": report.gauges,
        "gauges_before": _gauges_before(connection, report),
        "period": report.period,
        "transactions": (transactions := sum(metrics.count for metrics in report.transactions)),
    }
    # After a back-off reports may arrive out of order; a late one must not overwrite newer state.
    connection.execute(
        "INSERT INTO process (instance, app, started, seen, facts) VALUES (?, ?, ?, ?, ?) ON CONFLICT (instance) DO UPDATE SET"
        " app = excluded.app, started = excluded.started, seen = excluded.seen, facts = excluded.facts"
        " WHERE excluded.seen >= seen",
        (report.process.instance, report.process.app, report.process.started, report.end, json.dumps(facts)),
    )
    # Count late reports too: a report's counters are older than its delivery, so only this sum includes the last reports.
    sql = "UPDATE process SET stored = stored + ? WHERE instance = ?"
    connection.execute(sql, (transactions, report.process.instance))
    number = _number_of(report)
    if number is not None:
        # The report with the highest number decides: after `flush()` a process may go on. None, of an agent that does not mark it,
        # changes nothing. SQLite reads the former values of all columns.
        connection.execute(
            "UPDATE process SET received = received + 1, first_number = min(coalesce(first_number, :number), :number),"
            " last_number = max(coalesce(last_number, :number), :number),"
            " is_last = CASE WHEN :number >= coalesce(last_number, 0) THEN coalesce(:is_last, is_last) ELSE is_last END"
            " WHERE instance = :instance",
            {"number": number, "is_last": report.is_last, "instance": report.process.instance},
        )


def _number_of(report: Report) -> int | None:
    """Return the number of a report in its process; None for the id of another kind of sender."""
    instance, _, number = report.id.rpartition("-")
    if instance != report.process.instance or not (number.isascii() and number.isdigit() and len(number) < 16):
        return None
    return int(number)


def _gauges_before(connection: sqlite3.Connection, report: Report) -> dict[str, Any] | None:  # Any: a time and gauges
    """Return the gauges of the process's previous report, so that what a total grew by is known; None for its first report."""
    sql = "SELECT seen, json_extract(facts, '$.gauges') FROM process WHERE instance = ? AND seen < ?"
    found = connection.execute(sql, (report.process.instance, report.end)).fetchone()
    return None if found is None or found[1] is None else {"seen": found[0], "gauges": json.loads(found[1])}


def _series(report: Report) -> Iterator[tuple[tuple[bool, bool, str], Sums]]:
    """Return the sums of each name, and the totals of web transactions and of jobs."""
    series: dict[tuple[bool, bool, str], Sums] = {}
    for metrics in report.transactions:
        web, sums = is_web(metrics.name), sums_of(metrics)
        for key in (False, web, metrics.name), (True, web, TOTAL_NAME):
            series.setdefault(key, Sums()).add(sums)
    return iter(series.items())


def _series_id(connection: sqlite3.Connection, app: str, *, is_total: bool, web: bool, name: str) -> int:
    key = (app, is_total, web, name)
    found = connection.execute(
        "SELECT id FROM series WHERE app = ? AND is_total = ? AND is_web = ? AND name = ?", key
    ).fetchone()
    if found is not None:
        return int(found[0])
    added = connection.execute("INSERT INTO series (app, is_total, is_web, name) VALUES (?, ?, ?, ?)", key)
    return int(added.lastrowid or 0)


def _add_to_rollups(connection: sqlite3.Connection, series: int, sums: Sums, *, at: float) -> None:
    slices = slices_of(at)
    placeholders = ", ".join("(?, ?)" for _ in slices)
    sql = f"SELECT level, start, {COLUMNS} FROM rollup WHERE series = ? AND (level, start) IN (VALUES {placeholders})"  # noqa: S608  # only placeholders
    found = connection.execute(sql, (series, *(value for pair in slices for value in pair)))
    stored = {(level, start): sums_of_row(tuple(row)) for level, start, *row in found}
    rows = []
    for key in slices:
        changed = stored.get(key, Sums())
        changed.add(sums)
        rows.append((series, *key, *changed.as_row()))
    connection.executemany(
        f"INSERT INTO rollup (series, level, start, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # only constants
        " ON CONFLICT (series, level, start) DO UPDATE SET count = excluded.count, errors = excluded.errors,"
        " total = excluded.total, queue_time = excluded.queue_time, queued = excluded.queued,"
        " durations = excluded.durations, kinds = excluded.kinds",
        rows,
    )
