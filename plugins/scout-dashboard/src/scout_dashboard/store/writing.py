"""Writes the traces of reports to the file of their day. Within a transaction that the caller opened."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from attrs import Factory, frozen

from scout_core.measuring.report import Report, Trace
from scout_core.operations import is_web
from scout_dashboard.store import bulk
from scout_dashboard.store.bodies import pack
from scout_dashboard.store.reader import as_list

_MOST_CALLS = 500
"""Ids of a trace's spans that are stored, to find out which of them made a call."""
_HEX = "0123456789abcdef"


@frozen(kw_only=True)
class Incoming:
    """A report to store."""

    report: Report
    corrected: Mapping[str, int] = Factory(dict)
    """How many of its values were corrected, by reason; stored with its process."""


def known_ids(connection: sqlite3.Connection, incoming: Sequence[Incoming]) -> set[str]:
    """Return the ids of those reports that are stored already."""
    ids = as_list([new.report.id for new in incoming])
    return {
        found
        for (found,) in bulk.read(connection, ["id"], "FROM report WHERE id IN (SELECT value FROM json_each(?))", [ids])
    }


def write_traces(connection: sqlite3.Connection, reports: Sequence[Report]) -> None:
    """Write the traces under the minutes of their reports' metrics; a trace that is already stored is not changed."""
    traces = [(trace, report) for report in reports for trace in report.traces]
    into = (
        "INSERT OR IGNORE INTO trace (id, report, minute, app, is_web, name, host, start, duration, queue_time, is_error, score,"
        " policies, span_count, body)"
    )
    bulk.insert(connection, into, [_trace_row(trace, report) for trace, report in traces])
    into = "INSERT OR IGNORE INTO error (trace, number, handled, exception, message, file, line, function, grp)"
    bulk.insert(connection, into, [row for trace, _ in traces for row in _error_rows(trace)])
    members = [_member_row(trace) for trace, _ in traces if _is_id(trace.trace_id, 32)]
    bulk.insert(connection, "INSERT OR IGNORE INTO member (trace_id, id, parent, calls)", members)


def _error_rows(trace: Trace) -> Iterator[tuple[object, ...]]:
    for number, error in enumerate(trace.errors):
        file, line, function = error.place or ("", 0, "")
        yield trace.id, number, error.handled, error.exception, error.message, file, line, function, error.group


def _trace_row(trace: Trace, report: Report) -> tuple[object, ...]:
    return (
        trace.id,
        report.id,
        int(report.end // 60) * 60,
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
        pack(trace),
    )


def _member_row(trace: Trace) -> tuple[str, str, str, str]:
    calls = [span_id for span_id in trace.calls if _is_id(span_id, 16)]
    return trace.trace_id, trace.id, trace.parent_span_id, " ".join(calls[:_MOST_CALLS])


def _is_id(text: str, length: int) -> bool:
    return len(text) == length and not text.strip(_HEX)
