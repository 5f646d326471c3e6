"""Reads the errors of kept traces, as lists need them; everything else about an error is in its trace."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.traces import conditions

MOST_ROWS: Final = 5_000
"""Errors that are read; the newest ones."""


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
    """Return the errors of the traces that were kept in the range, the newest first; at most ``MOST_ROWS``."""
    where, wanted = conditions(when)
    sql = (
        "SELECT trace.id, name, start, handled, exception, message, file, line, function FROM trace"  # noqa: S608  # only constants
        f" JOIN error ON error.trace = trace.id WHERE {where} ORDER BY start DESC, number LIMIT ?"
    )
    found = [
        ErrorRow(
            trace=trace, name=name, start=start, handled=bool(handled), exception=exception, message=message, file=file,
            line=line, function=function,
        )
        for trace, name, start, handled, exception, message, file, line, function in reader.rows(
            "traces", sql, (*wanted, MOST_ROWS), start=when.start, end=when.end
        )
    ]  # fmt: skip
    return sorted(found, key=lambda row: -row.start)[:MOST_ROWS]
