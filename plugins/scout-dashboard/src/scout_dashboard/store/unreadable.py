"""Rows of a day's file that cannot be read: found when a page or a report fails, then left out, and removed by the writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import Any, Final

from scout_dashboard.store.files import Kind
from scout_dashboard.store.row_checks import BELONGS_TO, CHECKS, EXPENSIVE, Check
from scout_dashboard.store.tables import TABLES

Rows = dict[str, dict[str, str]]
"""Table to the key of each row, as literals of SQL, and the reason."""

_ROW_ID: Final = ("rowid",)


class _NoText(bytes):
    """A text that is not UTF-8."""


def find(connection: sqlite3.Connection, kind: Kind, *, known: Rows) -> Rows:
    """
    Return the rows of a file that cannot be read. The connection cannot be used for anything else afterwards.

    Args:
        known: those that are left out already.
    """
    connection.text_factory = _text_of
    for is_expensive in (False, True):
        found = {table: dict(_unreadable(connection, table, is_expensive=is_expensive)) for table in CHECKS[kind]}
        for table, (column, owner) in BELONGS_TO.items():
            if table in found:
                found[table] |= _orphans(connection, table, column, owner, found[owner])
        new = {table: _without(rows, known.get(table, {})) for table, rows in found.items()}
        if any(new.values()):
            return {table: rows for table, rows in new.items() if rows}
    return {}


def hide(connection: sqlite3.Connection, rows: Rows) -> None:
    """Let the statements of a connection see the tables without these rows."""
    for table, of_table in rows.items():
        rest = f"FROM main.{table} WHERE NOT {_among(table, of_table)}"
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT * {rest}")  # only constants and literals


def remove(connection: sqlite3.Connection, rows: Rows) -> list[dict[str, str]]:
    """Delete rows, within a transaction that the caller opened, and return each as its table and literals of SQL by column."""
    removed: list[dict[str, str]] = []
    for table, of_table in rows.items():
        columns = [*_checks_of(table)]
        where = _among(table, of_table)
        selected = ", ".join(map(_literal_of, columns))
        found = connection.execute(f"SELECT {selected} FROM {table} WHERE {where}")  # noqa: S608  # only constants and literals
        removed += [{"table": table, **dict(zip(columns, row, strict=True))} for row in found]
        connection.execute(f"DELETE FROM {table} WHERE {where}")  # noqa: S608  # only constants and literals
    if "fold" in rows:  # minutes are summed up again
        connection.execute("INSERT INTO fold (until) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM fold)")
    return removed


def describe(rows: Rows) -> str:
    """Return what cannot be read: ``3 rows of rollup, as durations …``."""
    parts = []
    for table, of_table in sorted(rows.items()):
        reason = next(iter(of_table.values()))
        parts.append(
            f"{len(of_table):,} {'row' if len(of_table) == 1 else 'rows'} of {table}, such as one whose {reason}"
        )
    return "; ".join(parts)


def _unreadable(connection: sqlite3.Connection, table: str, *, is_expensive: bool) -> Iterator[tuple[str, str]]:
    of_table, keys = _checks_of(table), _keys_of(table)
    checks = {name: check for name, check in of_table.items() if ((table, name) in EXPENSIVE) == is_expensive}
    if not checks:
        return
    sql = f"SELECT {', '.join((*keys, *checks))} FROM main.{table}"  # noqa: S608  # only constants
    for row in connection.execute(sql):
        for (name, check), value in zip(checks.items(), row[len(keys) :], strict=True):
            if not _is_readable(check, value):
                yield _key(row[: len(keys)]), f"{name} is {_shown(value)}"
                break


def _orphans(
    connection: sqlite3.Connection, table: str, column: str, owner: str, bad: Mapping[str, str]
) -> dict[str, str]:
    numbers = f"SELECT id FROM main.{owner} WHERE NOT {_among(owner, bad)}"  # noqa: S608  # only constants and literals
    sql = f"SELECT rowid FROM main.{table} WHERE {column} NOT IN ({numbers})"  # noqa: S608  # only constants and literals
    return {_key(row): f"{column} is not a row of {owner} that can be read" for row in connection.execute(sql)}


def _without(rows: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {key: reason for key, reason in rows.items() if key not in known}


def _checks_of(table: str) -> Mapping[str, Check]:
    return next(tables[table] for tables in CHECKS.values() if table in tables)


@cache
def _keys_of(table: str) -> tuple[str, ...]:
    """Return the columns by which a row is found: the primary key of a table without row ids."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for tables in TABLES.values():
            connection.executescript(tables)
        of_table = "SELECT sql LIKE '%WITHOUT ROWID%' FROM sqlite_master WHERE name = ?"
        sql = f"SELECT name FROM pragma_table_info(?) WHERE pk AND ({of_table}) ORDER BY pk"  # noqa: S608  # only constants
        return tuple(name for (name,) in connection.execute(sql, (table, table))) or _ROW_ID


def _among(table: str, rows: Mapping[str, str]) -> str:
    return f"({', '.join(_keys_of(table))}) IN (VALUES {', '.join(rows)})" if rows else "0"


def _literal_of(column: str) -> str:
    """Return the expression for a literal of SQL, which is a text whatever the column has."""
    return (
        f"CASE typeof({column}) WHEN 'text' THEN 'CAST(x''' || hex({column}) || ''' AS TEXT)'"
        f" WHEN 'blob' THEN 'x''' || hex({column}) || '''' ELSE quote({column}) END"
    )


def _is_readable(check: Check, value: Any) -> bool:  # Any: whatever SQLite has stored
    try:
        return bool(check(value))
    except Exception:  # noqa: BLE001  # the value may be anything, and so may the error
        return False


def _key(values: Sequence[Any]) -> str:  # Any: whatever SQLite has stored
    return f"({', '.join(map(_literal, values))})"


def _literal(value: Any) -> str:  # Any: whatever SQLite has stored
    if isinstance(value, (str, _NoText)):
        return f"CAST(x'{(value.encode() if isinstance(value, str) else value).hex()}' AS TEXT)"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else repr(value).replace("inf", "9e999")


def _shown(value: Any) -> str:  # Any: whatever SQLite has stored
    """Return a value for a message, short enough for one line."""
    if value is None:
        return "NULL"
    if isinstance(value, _NoText):
        return "a text that is not UTF-8"
    if isinstance(value, bytes):
        return f"a value of {len(value):,} bytes"
    if isinstance(value, str):
        return json.dumps(value[:40]) + ("…" if len(value) > 40 else "")
    return str(value)


def _text_of(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _NoText(value)
