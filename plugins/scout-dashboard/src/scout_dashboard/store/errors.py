"""Reads the errors of kept traces, as lists need them; everything else about an error is in its trace."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from attrs import define

from scout_dashboard.ranges import Range
from scout_dashboard.store.bulk import quoted
from scout_dashboard.store.files import DAY
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.traces import conditions

MOST_ROWS: Final = 5_000
"""Errors that are read; the newest ones."""
_START: Final = attrgetter("start")
_LONG: Final = 6 * 3_600
"""Seconds of a range."""


@define
class ErrorRow:
    """One error of a kept trace. Not frozen: that would take three times as long to make thousands of."""

    trace: str
    """Id of the trace."""
    name: str
    """Name of the transaction."""
    start: float
    """When the transaction started."""
    handled: int
    """1: something handled it."""
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
    columns = ("id", "name", "start", "handled", "exception", "message", "file", "line", "function")
    selected = ", ".join(quoted(column, float if column == "start" else str) for column in columns)
    found: list[ErrorRow] = []
    for day in reversed(reader.days("traces", start=when.start, end=when.end)):
        # Few traces have errors: over hours it is faster to look for the traces of all errors of a day.
        tables = "error CROSS JOIN trace" if when.end - when.start > _LONG else "trace CROSS JOIN error"
        condition = where
        least: tuple[float, ...] = ()
        if (
            len(found) == MOST_ROWS
        ):  # an earlier day has newer ones only if their report was late: by the index of start there are few
            tables, least = "trace CROSS JOIN error", (found[-1].start,)
            condition = f"{where.replace('minute', '+minute')} AND start > ?"
        inner = (
            f"SELECT {', '.join(columns)} FROM {tables} ON error.trace = trace.id"  # noqa: S608  # only constants
            f" WHERE {condition} ORDER BY start DESC, number LIMIT ?"
        )
        values = (*wanted, *least, MOST_ROWS)
        rows = reader.read("traces", [selected], f"FROM ({inner})", values, start=day * DAY, end=(day + 1) * DAY)
        if rows:
            found += [ErrorRow(id_, name, float(start), *rest) for id_, name, start, *rest in rows]
            found = sorted(found, key=_START, reverse=True)[:MOST_ROWS]
    return found
