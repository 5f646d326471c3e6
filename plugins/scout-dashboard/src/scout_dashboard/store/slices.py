"""Reads rollups from the coarsest slices that exist: complete ones of past days, and minutes of the last few."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

from scout_dashboard.ranges import Range
from scout_dashboard.store import bulk, files
from scout_dashboard.store.files import DAY
from scout_dashboard.store.levels import LEVELS, stored_cover
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollup_tables import Rollup

_Key = TypeVar("_Key", bound=Hashable)
_Figures = TypeVar("_Figures")


def parts_of(when: Range) -> Iterator[tuple[int, int, bool]]:
    """
    Split a range, so that days that are over need to be summed up only once.

    Yields:
        Start, end, and whether the part is before the day of ``when.now``, which is written all the time. Complete days are one part,
        so they remain it while the start of the range moves. The day before is a part of its own: it is the one that late reports
        belong to.
    """
    today = files.day_of(when.now) * DAY
    marks = (-(-when.start // DAY) * DAY, today - DAY, today, when.end)
    start = when.start
    for mark in marks:
        end = min(mark, when.end)
        if start < end:
            yield start, end, end <= today
            start = end


def read_parts(
    reader: Reader,
    of: tuple[object, ...],
    when: Range,
    read: Callable[[int, int], dict[_Key, _Figures]],
    *,
    pack: Callable[[_Figures], object] | None = None,
) -> Iterator[dict[_Key, _Figures]]:
    """
    Read the parts of a range in order, those that are over only once, until one of their days is written again.

    Args:
        of: key of ``read`` in the cache.
        read: returns figures from a start to an end. Those of a part that is over are cached; callers must not modify them.
        pack: makes figures small before they are cached.
    """

    def read_once() -> dict[_Key, _Figures]:
        found = read(start, end)
        if pack is not None:
            for figures in found.values():
                pack(figures)
        return found

    for start, end, is_over in parts_of(when):
        yield (
            reader.cached((*of, when.app, start, end), read_once, start=start, end=end) if is_over else read(start, end)
        )


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
        grouped: expressions by which rows of one file are grouped.
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


def joined(column: str) -> str:
    """Return the expression for a column of bytes of all rows of a group; see ``split``."""
    return f"group_concat(hex({column}))"


def split(found: str) -> Iterator[bytes]:
    """Return the values of ``joined``."""
    return map(bytes.fromhex, found.split(","))


def column(name: str, rollup: Rollup[Any]) -> str:
    """Return the expression for a column of a slice."""
    kinds = dict(zip(rollup.columns.split(", "), rollup.kinds, strict=True))
    return bulk.quoted(f"r.{name}", kinds[name])


def figures(rollup: Rollup[Any]) -> list[str]:
    """Return the expressions for all columns of a slice."""
    return [column(name, rollup) for name in rollup.columns.split(", ")]
