"""
The tables of rollups while they are written: those of names, of queues, of groups of errors, and of operations.

A report is added to its minute. When five minutes are over, they are folded into the coarser slices, each of which is written
once. A late report is also added to the slices that are folded already. Within transactions that the caller opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import define, field, frozen

from scout_dashboard.store import bulk
from scout_dashboard.store.error_sums import COLUMNS as ERROR_COLUMNS
from scout_dashboard.store.error_sums import KINDS as ERROR_KINDS
from scout_dashboard.store.error_sums import ErrorSums, error_sums_of_row
from scout_dashboard.store.levels import MINUTE, folds, slices_of
from scout_dashboard.store.operation_sums import COLUMNS as OPERATION_COLUMNS
from scout_dashboard.store.operation_sums import KINDS as OPERATION_KINDS
from scout_dashboard.store.operation_sums import OperationSums, operation_sums_of_row
from scout_dashboard.store.queue_sums import COLUMNS as QUEUE_COLUMNS
from scout_dashboard.store.queue_sums import KINDS as QUEUE_KINDS
from scout_dashboard.store.queue_sums import QueueSums, queue_sums_of_row
from scout_dashboard.store.sums import COLUMNS, KINDS, Sums, sums_of_row

_MOST_LIVE: Final = 3
"""Minutes whose figures are kept in memory."""
_MOST_FIGURES: Final = 20_000
"""Figures that are kept in memory; each takes about 3 kB."""
_MOST_KEYS: Final = 300
"""Rows that one statement looks for."""

Key = tuple[int, int, int]
"""Series, level and start."""


class _Summable(Protocol):
    def add(self, other: Any, /) -> None: ...  # Any: of its own class, or figures of a report
    def as_row(self) -> tuple[Any, ...]: ...  # Any: values that SQLite stores


_Figures = TypeVar("_Figures", bound=_Summable)


@frozen
class Rollup(Generic[_Figures]):
    """A table of figures by series and slice of time."""

    series: str
    """The table of its series."""
    table: str
    columns: str
    kinds: tuple[type, ...]
    """Types of the columns."""
    of_row: Callable[[Any], _Figures]  # Any: a tuple of the columns
    empty: Callable[[], _Figures]


BY_NAME: Final = Rollup("series", "rollup", COLUMNS, KINDS, sums_of_row, Sums)
BY_ERROR: Final = Rollup("error_series", "error_rollup", ERROR_COLUMNS, ERROR_KINDS, error_sums_of_row, ErrorSums)
BY_OPERATION: Final = Rollup(
    "operation_series", "operation_rollup", OPERATION_COLUMNS, OPERATION_KINDS, operation_sums_of_row, OperationSums
)
BY_QUEUE: Final = Rollup("job_queue", "queue_rollup", QUEUE_COLUMNS, QUEUE_KINDS, queue_sums_of_row, QueueSums)


@define
class Series:
    """The series of a file: their keys and numbers."""

    _connection: sqlite3.Connection
    _table: str
    _columns: tuple[str, ...]
    _known: dict[tuple[object, ...], int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        found = bulk.read(self._connection, ("id", *self._columns), f"FROM {self._table}")
        self._known = {tuple(key): number for number, *key in found}

    def numbers(self, keys: Iterable[tuple[object, ...]]) -> dict[tuple[object, ...], int]:
        """Return the numbers of all known series, after adding those of these keys that are missing."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        if missing:
            first = max(self._known.values(), default=0) + 1
            added = {key: first + index for index, key in enumerate(missing)}
            into = f"INSERT INTO {self._table} (id, {', '.join(self._columns)})"
            bulk.insert(self._connection, into, [(number, *key) for key, number in added.items()])
            self._known |= added
        return self._known


@define
class Slices(Generic[_Figures]):
    """One table of a file, with the figures of the latest minutes in memory. Unusable after a transaction that failed."""

    _connection: sqlite3.Connection
    _rollup: Rollup[_Figures]
    _newest: int
    """No later minute has rows, except those in memory."""
    _live: dict[int, dict[int, _Figures]] = field(init=False, factory=dict)
    """Minute to series to figures: everything that the table has of these minutes."""

    def add(self, added: Sequence[tuple[int, int, Any]], *, until: int) -> None:
        """
        Add figures to the slices.

        Args:
            added: ``(series, minute, figures)``. Any: whatever can be added.
            until: see ``slices_of``.
        """
        slices = {minute: slices_of(minute, until=until) for minute in {minute for _, minute, _ in added}}
        live = {minute: self._live_of(minute) for minute in sorted(slices)}
        changed: dict[Key, _Figures] = {}
        stored: list[Key] = []
        for series, minute, figures in added:
            for level, start in slices[minute]:
                key = (series, level, start)
                into = changed.get(key)
                if into is None:
                    of_minute = live[minute] if level == MINUTE else None
                    if of_minute is None:
                        into = self._rollup.empty()
                        stored.append(key)
                    else:
                        into = of_minute.setdefault(series, self._rollup.empty())
                    changed[key] = into
                into.add(figures)
        for key, before in self._stored(stored):
            changed[key].add(before)
        self._write((*key, *figures.as_row()) for key, figures in changed.items())

    def fold(self, start: int) -> None:
        """Write each slice that is complete with the minutes from a start, see ``folds``."""
        for level, finer, first in folds(start):
            columns = ["r.series", *self._quoted("r.")]
            # CROSS JOIN: the series first, because the index begins with them; so the rows of a series follow one another.
            rest = (
                f"FROM {self._rollup.series} s CROSS JOIN {self._rollup.table} r"
                " ON r.series = s.id AND r.level = ? AND r.start >= ? AND r.start < ?"
            )
            rows = bulk.read(self._connection, columns, rest, (finer, first, first + level))
            self._write(self._summed(rows, level, first))

    def _summed(self, rows: Iterable[list[Any]], level: int, start: int) -> Iterator[tuple[object, ...]]:
        for series, of_series in groupby(rows, key=lambda row: row[0]):
            first, *others = (bulk.unquoted(row, self._rollup.kinds) for _, *row in of_series)
            if not others:
                yield series, level, start, *first
                continue
            whole = self._rollup.of_row(first)
            for row in others:
                whole.add(self._rollup.of_row(row))
            yield series, level, start, *whole.as_row()

    def _live_of(self, minute: int) -> dict[int, _Figures] | None:
        """Return the figures of a minute in memory; None: only the table has all of them."""
        if minute > self._newest:
            self._newest = minute
            self._live[minute] = {}
            while len(self._live) > _MOST_LIVE or (
                len(self._live) > 1 and sum(map(len, self._live.values())) > _MOST_FIGURES
            ):
                del self._live[min(self._live)]
        return self._live.get(minute)

    def _stored(self, keys: Sequence[Key]) -> Iterator[tuple[Key, _Figures]]:
        for first in range(0, len(keys), _MOST_KEYS):
            part = keys[first : first + _MOST_KEYS]
            rest = (
                "FROM (SELECT column1 AS series, column2 AS level, column3 AS start"  # noqa: S608  # only constants and placeholders
                f" FROM (VALUES {', '.join(['(?, ?, ?)'] * len(part))})) wanted"
                f" CROSS JOIN {self._rollup.table} r ON (r.series, r.level, r.start) = (wanted.series, wanted.level, wanted.start)"
            )
            values = [value for key in part for value in key]
            columns = ("r.series", "r.level", "r.start", *self._quoted("r."))
            for series, level, start, *row in bulk.read(self._connection, columns, rest, values):
                yield (series, level, start), self._rollup.of_row(bulk.unquoted(row, self._rollup.kinds))

    def _quoted(self, prefix: str) -> list[str]:
        names = self._rollup.columns.split(", ")
        return [bulk.quoted(f"{prefix}{name}", kind) for name, kind in zip(names, self._rollup.kinds, strict=True)]

    def _write(self, rows: Iterable[tuple[object, ...]]) -> None:
        updates = ", ".join(f"{name} = excluded.{name}" for name in self._rollup.columns.split(", "))
        into = f"INSERT INTO {self._rollup.table} (series, level, start, {self._rollup.columns})"
        then = f"ON CONFLICT (series, level, start) DO UPDATE SET {updates}"
        bulk.insert(self._connection, into, [*rows], then=then)
