"""The operations of a driver's methods, and the facts about a call that are tags."""

from __future__ import annotations

from collections.abc import Callable
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

from scout_core.recording.outermost import OutermostSpan

QUERY: Final = "SQL/Query"
MANY: Final = "SQL/Many"
"""A statement for many rows."""
FETCH: Final = "SQL/Fetch"
CALL: Final = "callproc"
"""The method that has the name of a procedure in place of a statement."""
HAVE_ROWS: Final = frozenset({"execute", "executemany"})
"""Methods that set ``rowcount``."""
STATEMENT_NAMES: Final = ("operation", "query", "sql", "statement", "sql_script")
"""Parameters of ``execute``: PEP 249 leaves the name to the driver."""


def statement_of(kwargs: dict[str, Any]) -> Any:
    """Return the statement that is passed by keyword; None: it is missing, and the call will fail."""
    for name in STATEMENT_NAMES:
        if name in kwargs:
            return kwargs[name]
    return None


def call_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the name of the procedure that is called."""
    return args[0] if args else kwargs.get("procname")


def span_of(name: str, operation: str, dialect: str) -> Callable[[tuple[Any, ...], dict[str, Any]], OutermostSpan]:
    """Return what makes the span of a call of a method from its arguments. Hot code."""
    if operation == FETCH:
        return lambda args, kwargs: OutermostSpan(FETCH, dialect=dialect)
    if name == CALL:
        return lambda args, kwargs: OutermostSpan(QUERY, procedure=call_of(args, kwargs), dialect=dialect)
    return lambda args, kwargs: OutermostSpan(
        operation, statement=args[0] if args else statement_of(kwargs), dialect=dialect
    )


def rows_of(kind: type) -> Callable[[Any], int] | None:
    """
    Return what reads ``rowcount`` of the cursors of a class, without running any code but the driver's; None: it cannot be read so.

    PEP 249: -1 when the number of rows is not known, as of a query that has not been read.
    """
    found = getattr(kind, "rowcount", None)
    return found.__get__ if isinstance(found, (MemberDescriptorType, GetSetDescriptorType)) else None


def add_rows(span: OutermostSpan, rows: Callable[[Any], int], cursor: Any) -> None:  # Any: of the driver
    """Tag a span with the number of rows that a statement has found or changed, if the driver knows it. Hot code."""
    try:
        if (count := rows(cursor)) >= 0:
            span.own_tags["rows"] = count
    except Exception:  # noqa: BLE001, S110  # a driver may refuse, as for a cursor that is closed
        pass
