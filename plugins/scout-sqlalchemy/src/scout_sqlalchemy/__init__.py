"""SQLAlchemy statements as spans: ``SQL/Query``, or ``SQL/Many`` for many rows at once, tagged with ``statement``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core import Span, hookimpl, outermost_span

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect, ExecutionContext

    from scout_core.boundary.wrap import Wrap

DEFAULT: Final = "sqlalchemy.engine.default:DefaultDialect"

# Dialects in 1.4, 2.0 and 2.1 that override a method without calling DefaultDialect's. PyMySQL and mysqlclient, oracledb,
# CockroachDB and Redshift inherit theirs. 2.0 removed Firebird's (fdb).
OWN_EXECUTE: Final = ("sqlalchemy.dialects.firebird.kinterbasdb:FBDialect_kinterbasdb",)
OWN_EXECUTEMANY: Final = (
    "sqlalchemy.dialects.mysql.mysqldb:MySQLDialect_mysqldb",
    "sqlalchemy.dialects.oracle.cx_oracle:OracleDialect_cx_oracle",
    "sqlalchemy.dialects.postgresql.psycopg2:PGDialect_psycopg2",
)


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time every statement where the dialect passes it to the driver; asynchronous engines use the same methods."""
    # The event API sees the same calls for 16 µs a query where this takes 7 (SQLAlchemy 1.4.54, 2.0.58 and 2.1.9, SQLite
    # in memory, medians of one interleaved run), reports errors by a third event, and cannot be undone exactly.
    for dialect in (DEFAULT, *OWN_EXECUTE):
        wrap(f"{dialect}.do_execute", execute)
    wrap(f"{DEFAULT}.do_execute_no_params", execute_no_params)
    for dialect in (DEFAULT, *OWN_EXECUTEMANY):
        wrap(f"{dialect}.do_executemany", executemany)


def execute(
    dialect: Dialect, cursor: object, statement: str, parameters: object, context: ExecutionContext | None = None
) -> Span:
    """Describe one statement; since 2.0 also one batch of many rows, which is a single long ``INSERT``."""
    if context is not None and context.executemany:
        # The statement for a single row: the one for the whole batch has thousands of placeholders.
        return outermost_span("SQL/Many", statement=context.statement, dialect=dialect.name)
    return outermost_span("SQL/Query", statement=statement, dialect=dialect.name)


def execute_no_params(dialect: Dialect, cursor: object, statement: str, context: object = None) -> Span:
    """Describe one statement in which the driver must not look for placeholders."""
    return outermost_span("SQL/Query", statement=statement, dialect=dialect.name)


def executemany(dialect: Dialect, cursor: object, statement: str, parameters: object, context: object = None) -> Span:
    """Describe one statement for many rows, however the driver sends them."""
    return outermost_span("SQL/Many", statement=statement, dialect=dialect.name)
