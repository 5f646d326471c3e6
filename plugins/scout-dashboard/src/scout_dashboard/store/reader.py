"""Reads the files of all days: one connection per file, opened when first needed, one query at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

from attrs import frozen

from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.errors import StoreError
from scout_dashboard.store import files
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.schema import connect_to_read

Row = tuple[Any, ...]
"""Any: what SQLite gives, in the order of the columns that were asked for."""


_FOREVER: Final = 1e12
_MOST_REMEMBERED: Final = 8
_Made = TypeVar("_Made")


@frozen
class AppSeen:
    """An application in the store."""

    name: str
    first: float
    """Start of its first report."""
    last: float
    """End of its latest report."""
    period: float
    """Seconds that the report told of which came last."""


class Reader:
    """Safe to use from any thread; never changes what is in a file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connections: dict[tuple[Kind, int], sqlite3.Connection] = {}
        self._openings: dict[tuple[Kind, int], int] = {}
        """Which opening of any file each connection is."""
        self._opened = 0
        self._memory: dict[Hashable, tuple[object, Any]] = {}  # Any: whatever was made
        self._lock = RLock()

    def check(self) -> None:
        """
        Open every file.

        Raises:
            StoreError: one is damaged or of another version.
        """
        with self._lock:
            for kind in KINDS:
                self.rows(kind, "SELECT 1")
            self.close()

    def rows(
        self, kind: Kind, sql: str, values: Sequence[object] = (), *, start: float = 0, end: float = _FOREVER
    ) -> list[Row]:
        """
        The rows of every day's file from ``start`` until before ``end``, the oldest day's first.

        Raises:
            StoreError: a file cannot be read; the message names it.
        """
        found: list[Row] = []
        with self._lock:
            for day, connection in self._open(kind, files.day_of(start), files.day_of(end - 1e-3)):
                with self._failures_explained(kind, day):
                    found += connection.execute(sql, values).fetchall()
        return found

    def remembered(self, key: Hashable, make: Callable[[], _Made], *, start: float, end: float) -> _Made:
        """What ``make`` gave for this key, for as long as nobody has written to the figures of these days; it must stay as it is."""
        versions = self._versions(
            start, end
        )  # before they are read: what is written meanwhile is noticed the next time
        known = self._memory.get(key)
        if known is not None and known[0] == versions:
            return known[1]  # type: ignore[no-any-return]  # it is what make() gave
        made = make()
        with self._lock:
            self._memory.pop(key, None)
            self._memory[key] = versions, made
            while len(self._memory) > _MOST_REMEMBERED:
                self._memory.pop(next(iter(self._memory)))
        return made

    def _versions(self, start: float, end: float) -> tuple[tuple[int, int, int], ...]:
        """Each day that has figures, with numbers that are others after anybody has written to its file."""
        found = []
        with self._lock:
            for day, connection in self._open("metrics", files.day_of(start), files.day_of(end - 1e-3)):
                with self._failures_explained("metrics", day):
                    version = connection.execute("PRAGMA data_version").fetchone()[0]
                found.append((day, self._openings["metrics", day], version))  # comparable within one connection alone
        return tuple(found)

    def apps(self, *, start: float = 0, end: float = _FOREVER) -> list[AppSeen]:
        """Every application of these days but the probe, the one that reported last first."""
        seen: dict[str, AppSeen] = {}
        sql = "SELECT name, first, last, period FROM app"
        for name, first, last, period in self.rows("metrics", sql, start=start, end=end):
            known = seen.get(name, AppSeen(name, first, last, period))
            seen[name] = AppSeen(name, min(first, known.first), max(last, known.last), period)
        seen.pop(PROBE_APP, None)
        return sorted(seen.values(), key=lambda app: (-app.last, app.name))

    def forget(self, kind: Kind, day: int) -> None:
        """Remove a day's file, which nobody writes any more."""
        with self._lock:
            connection = self._connections.pop((kind, day), None)
            if connection is not None:
                connection.close()
            files.remove(self._directory, kind, day)

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()

    def _open(self, kind: Kind, first_day: int, last_day: int) -> Iterator[tuple[int, sqlite3.Connection]]:
        for day in files.days(self._directory, kind):
            if not first_day <= day <= last_day:
                continue
            connection = self._connections.get((kind, day))
            if connection is None:
                with self._failures_explained(kind, day):
                    connection = connect_to_read(files.path_of(self._directory, kind, day), kind)
                if connection is None:
                    continue
                self._connections[kind, day] = connection
                self._opened += 1
                self._openings[kind, day] = self._opened
            yield day, connection

    @contextmanager
    def _failures_explained(self, kind: Kind, day: int) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            connection = self._connections.pop((kind, day), None)
            if connection is not None:
                connection.close()
            raise StoreError(f"cannot read {files.path_of(self._directory, kind, day)}: {error}") from error
