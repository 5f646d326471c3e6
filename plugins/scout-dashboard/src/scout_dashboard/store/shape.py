"""The tables that a day's file must have, and no others: a trigger of another program would act on whatever is written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import Final

from scout_dashboard.errors import UnusableFile
from scout_dashboard.store.files import Kind
from scout_dashboard.store.tables import TABLES

_Columns = frozenset[tuple[object, ...]]
_OWN: Final = "sqlite_%"
"""Objects of SQLite itself, such as indexes of primary keys, and statistics that ``ANALYZE`` wrote."""
_SQL: Final = (
    "SELECT m.type, m.name, c.name, c.type, c.\"notnull\", c.pk, c.hidden, m.sql LIKE '%WITHOUT ROWID%'"
    " FROM main.sqlite_master m LEFT JOIN pragma_table_xinfo(m.name, 'main') c WHERE m.name NOT LIKE ?"
)


def check_shape(connection: sqlite3.Connection, kind: Kind) -> None:
    """
    Check the tables, indexes and columns of a file of this version; the order of columns depends on the version that created it.

    Raises:
        UnusableFile: something is missing, has another form, or is not ours.
    """
    expected, found = _expected(kind), _objects(connection)
    for name in sorted(found.keys() - expected.keys()):
        raise UnusableFile(f"it has a {name[0]} of another program, {name[1][:100]!r}")
    for name in sorted(expected.keys() - found.keys()):
        raise UnusableFile(f"it is damaged: no such {name[0]}: {name[1]}")
    for name, columns in expected.items():
        if found[name] != columns:
            raise UnusableFile(f"it is damaged: the {name[0]} {name[1]} has other columns")


@cache
def _expected(kind: Kind) -> dict[tuple[str, str], _Columns]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES[kind])
        return _objects(connection)


def _objects(connection: sqlite3.Connection) -> dict[tuple[str, str], _Columns]:
    """Return the columns of each table, by its type and name; indexes, triggers and views are among them."""
    columns: dict[tuple[str, str], set[tuple[object, ...]]] = {}
    for kind, name, *column in connection.execute(_SQL, (_OWN,)):
        columns.setdefault((kind, name), set()).add(tuple(column))
    return {key: frozenset(found) for key, found in columns.items()}
