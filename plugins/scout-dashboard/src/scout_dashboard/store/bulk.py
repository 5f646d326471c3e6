"""
Many rows in one statement.

Around each step of a statement Python's ``sqlite3`` lets other threads run, and while a page is being rendered it waits for
up to five milliseconds to go on: 500 single rows took 128 ms when nobody read, and 0.84 s when somebody did.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

_MOST_VALUES: Final = 990
"""Values of one statement: SQLite before 3.32 takes 999."""

Row = Sequence[object]

_CONVERT: Final[dict[type, Callable[[str], object]]] = {float: float, bytes: bytes.fromhex}


def insert(connection: sqlite3.Connection, into: str, rows: Sequence[Row], *, then: str = "") -> None:
    """
    Insert rows.

    Args:
        into: ``INSERT INTO table (columns)``, all of them in the order of the rows.
        then: the conflict clause.
    """
    first = 0
    while first < len(rows):
        # Halves of the largest number, so that there are few different statements to compile.
        size = _MOST_VALUES // len(rows[0])
        while size > len(rows) - first:
            size //= 2
        part = rows[first : first + size]
        places = f"({', '.join('?' * len(rows[0]))})"
        connection.execute(
            f"{into} VALUES {', '.join([places] * len(part))} {then}", [value for row in part for value in row]
        )
        first += size


def read(connection: sqlite3.Connection, columns: Sequence[str], rest: str, values: Row = ()) -> list[list[Any]]:
    """
    Return rows of texts and whole numbers, which SQLite makes into one value; use ``quoted`` for others. Any: JSON.

    Args:
        columns: expressions.
        rest: the statement from ``FROM`` on, without an aggregate.
    """
    sql = f"SELECT json_group_array(json_array({', '.join(columns)})) {rest}"  # only constants
    found: list[list[Any]] = json.loads(connection.execute(sql, values).fetchone()[0])
    return found


def quoted(column: str, kind: type) -> str:
    """Return the expression that ``read`` needs for a column: JSON has no bytes, and SQLite writes numbers into it with 15 digits."""
    return {float: f"quote({column})", bytes: f"hex({column})"}.get(kind, column)


def unquoted(values: Sequence[Any], kinds: Sequence[type]) -> tuple[Any, ...]:
    """Return the values of such columns."""
    return tuple(
        value if kind not in _CONVERT else _CONVERT[kind](value) for value, kind in zip(values, kinds, strict=True)
    )
