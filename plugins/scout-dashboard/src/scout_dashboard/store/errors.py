"""Reads the errors of kept traces, as lists need them; everything else about an error is in its trace."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from scout_dashboard.ranges import Range
from scout_dashboard.store.bulk import quoted
from scout_dashboard.store.files import DAY
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.traces import conditions

MOST_ROWS: Final = 5_000
"""Errors that are read; the newest ones."""
_LONG: Final = 6 * 3_600
"""Seconds of a range."""


@frozen(kw_only=True)
class ErrorRow:
    """One error of a kept trace."""

    trace: str
    """Id of the trace."""
    name: str
    """Name of the transaction."""
    start: float
    """When the transaction started."""
    handled: bool
    exception: str
    message: str
    file: str
    """File of the innermost frame that is the application's own code; empty when no frame is known."""
    line: int
    function: str


def list_errors(reader: Reader, when: Range) -> list[ErrorRow]:
    """
    Return the errors of the traces that were kept in the range, the newest first; at most ``MOST_ROWS``.

    Only those without a group: from agents that count no groups.
    """
    where, wanted = conditions(when)
    where += " AND grp = ''"
    # Few traces have errors: over hours it is faster to look for the traces of all errors of a day.
    tables = ("error", "trace") if when.end - when.start > _LONG else ("trace", "error")
    columns = ("id", "name", "start", "handled", "exception", "message", "file", "line", "function")
    selected = ", ".join(quoted(column, float if column == "start" else str) for column in columns)
    inner = (
        f"SELECT id, name, start, handled, exception, message, file, line, function FROM {tables[0]} CROSS JOIN {tables[1]}"  # noqa: S608  # only constants
        f" ON error.trace = trace.id WHERE {where} ORDER BY start DESC, number LIMIT ?"
    )
    found: list[ErrorRow] = []
    for day in reversed(reader.days("traces", start=when.start, end=when.end)):
        rows = reader.read(
            "traces", [selected], f"FROM ({inner})", (*wanted, MOST_ROWS), start=day * DAY, end=(day + 1) * DAY
        )
        found += [
            ErrorRow(
                trace=trace, name=name, start=float(start), handled=bool(handled), exception=exception, message=message,
                file=file, line=line, function=function,
            )
            for trace, name, start, handled, exception, message, file, line, function in rows
        ]  # fmt: skip
    return sorted(found, key=lambda row: -row.start)[:MOST_ROWS]
