"""Statements as spans, on every connection: ``SQL/Query``, or ``SQL/Many`` for many rows at once; by option ``SQL/Commit`` and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from scout_core import Span, outermost_span

if TYPE_CHECKING:
    from scout_core import Wrap

CURSOR: Final = "django.db.backends.utils:CursorWrapper"
"""The base of the cursor of every backend; asynchronous calls of the ORM use it in a thread."""
CONNECTION: Final = "django.db.backends.base.base:BaseDatabaseWrapper"
TRANSACTIONS: Final = {
    "commit": "SQL/Commit",
    "rollback": "SQL/Rollback",
    "savepoint": "SQL/Savepoint",
    "savepoint_commit": "SQL/SavepointCommit",
    "savepoint_rollback": "SQL/SavepointRollback",
}
"""Methods of a connection; those for savepoints execute a statement, which this span covers."""


def instrument_databases(wrap: Wrap, *, transactions: bool) -> None:
    """Time every statement, and also the ends of transactions and the savepoints if asked for."""
    # Not `execute_wrappers`: the application sees that list, and it is of one connection in one thread.
    wrap(f"{CURSOR}.execute", execute)
    wrap(f"{CURSOR}.executemany", executemany)
    wrap(f"{CURSOR}.callproc", callproc)
    for method, operation in TRANSACTIONS.items() if transactions else ():
        wrap(f"{CONNECTION}.{method}", _describer_of(operation))


# Any: a cursor of Django, which has no types; a statement may be an object of the driver, such as `psycopg.sql.Composed`.
def execute(cursor: Any, sql: Any, params: object = None) -> Span:
    """Describe one statement; its parameters are never read."""
    database = cursor.db
    return outermost_span("SQL/Query", statement=sql, dialect=database.vendor, database=database.alias)


def executemany(cursor: Any, sql: Any, param_list: object) -> Span:
    """Describe one statement for many rows."""
    database = cursor.db
    return outermost_span("SQL/Many", statement=sql, dialect=database.vendor, database=database.alias)


def callproc(cursor: Any, procname: Any, params: object = None, kparams: object = None) -> Span:
    """Describe one call of a stored procedure."""
    database = cursor.db
    return outermost_span("SQL/Query", procedure=procname, dialect=database.vendor, database=database.alias)


def _describer_of(operation: str) -> Callable[..., Span]:
    def describe(connection: Any, *savepoint: object, **more: object) -> Span:
        return outermost_span(operation, dialect=connection.vendor, database=connection.alias)

    return describe
