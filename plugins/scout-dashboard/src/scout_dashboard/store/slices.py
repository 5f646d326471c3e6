"""Reads rollups from the coarsest slices that exist: complete ones of past days, and minutes of the last few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scout_dashboard.store import bulk
from scout_dashboard.store.files import DAY
from scout_dashboard.store.levels import LEVELS, stored_cover
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollup_tables import Rollup


def parts_of(start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """
    Split a range, so that complete days need to be summed up only once.

    Yields:
        Start, end, and whether it consists of complete days. The last day is not among these: it may be today, which changes all the time.
    """
    first, last = -(-start // DAY) * DAY, (end // DAY - 1) * DAY
    parts = [(start, first, False), (first, last, True), (last, end, False)] if first < last else [(start, end, False)]
    yield from (part for part in parts if part[0] < part[1])


def read_slices(
    reader: Reader,
    rollup: Rollup[Any],  # Any: of names or of queues
    columns: Sequence[str],
    *,
    where: str,
    values: Sequence[object],
    start: int,
    end: int,
    coarsest: int = LEVELS[-1],
    grouped: str = "",
) -> list[list[Any]]:  # Any: JSON
    """
    Return the rows of slices that cover a range, those of earlier days first.

    Args:
        columns: expressions with ``s``, the series, and ``r``, the slice; texts, whole numbers, or ``quoted``.
        where: condition for the series, with placeholders for the values.
        coarsest: the coarsest level to read.
        grouped: columns of the series, by which rows of one file are grouped.
    """
    found: list[list[Any]] = []
    for day, until in reader.folded(start=start, end=end).items():
        first, last = max(start, day * DAY), min(end, (day + 1) * DAY)
        pieces = stored_cover(first, last, until=until, coarsest=coarsest)
        names = [f"column_{number}" for number in range(len(columns))]
        selected = ", ".join(f"{column} AS {name}" for column, name in zip(columns, names, strict=True))
        # CROSS JOIN forces this order on SQLite: first the few series, then an index lookup for each and each piece.
        rest = (
            f"FROM (SELECT {selected} FROM {rollup.series} s CROSS JOIN"  # noqa: S608  # only constants and placeholders
            f" (SELECT column1 AS level, column2 AS first, column3 AS last FROM (VALUES {', '.join(['(?, ?, ?)'] * len(pieces))})) p"
            f" CROSS JOIN {rollup.table} r ON r.series = s.id AND r.level = p.level AND r.start >= p.first AND r.start < p.last"
            f" WHERE {where} {f'GROUP BY {grouped}' if grouped else ''})"
        )
        of_pieces = [value for piece in pieces for value in piece]
        found += reader.read("metrics", names, rest, (*of_pieces, *values), start=first, end=last)
    return found


def whole_sum(found: Any) -> int:
    """
    Return what ``sum()`` of a column of whole numbers returned.

    Raises:
        TypeError: a row has something else, which SQLite adds as 0 and answers with a real number; see ``Reader.readable``.
    """
    if not isinstance(found, int):
        raise TypeError("a row of a column of whole numbers has something else")
    return found


def real_sum(column: str) -> str:
    """Return the expression for the sum of a column of real numbers; NULL if a row has a text or bytes, which sort after all numbers."""
    return f"CASE WHEN typeof(max({column})) IN ('integer', 'real') THEN quote(sum({column})) END"


def column(name: str, rollup: Rollup[Any]) -> str:
    """Return the expression for a column of a slice."""
    kinds = dict(zip(rollup.columns.split(", "), rollup.kinds, strict=True))
    return bulk.quoted(f"r.{name}", kinds[name])


def figures(rollup: Rollup[Any]) -> list[str]:
    """Return the expressions for all columns of a slice."""
    return [column(name, rollup) for name in rollup.columns.split(", ")]
