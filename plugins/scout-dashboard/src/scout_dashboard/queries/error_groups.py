"""The errors of kept traces, grouped by exception and place: one row for each bug, most recent first."""

from __future__ import annotations

from typing import Any

from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.errors import MOST_ROWS, ErrorRow, list_errors
from scout_dashboard.store.reader import Reader

Facts = dict[str, Any]
"""Ready for JSON. Any: each key has its own type."""


def errors(reader: Reader, when: Range) -> Facts:
    """Return the groups as ``rows``, the number of errors in them, and whether there are more than were read."""
    found = list_errors(reader, when)
    groups: dict[tuple[str, str, str], list[ErrorRow]] = {}
    for row in found:
        groups.setdefault((row.exception, row.file, row.function), []).append(row)
    return {"rows": [_row(group) for group in groups.values()], "total": len(found), "is_cut": len(found) == MOST_ROWS}


def _row(group: list[ErrorRow]) -> Facts:
    """Return a group: message, line and trace are those of its newest error."""
    newest = group[0]
    names = list(dict.fromkeys(row.name for row in group))
    return {
        "exception": newest.exception,
        "message": newest.message,
        "file": newest.file,
        "line": newest.line,
        "function": newest.function,
        "count": len(group),
        "handled": sum(row.handled for row in group),
        "first": group[-1].start,
        "last": newest.start,
        "trace": newest.trace,
        "names": [{"name": name, "label": label_of(name)} for name in names],
    }
