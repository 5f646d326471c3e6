"""Reads the files of all days: one connection per file, opened on first use, one query at a time."""

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
"""Values in the order of the selected columns. Any: whatever SQLite returns."""


_FOREVER: Final = 1e12
_MAX_CACHED: Final = 8
_Value = TypeVar("_Value")


@frozen
class StoredApp:
    """An application in the store."""

    name: str
    first: float
    """Start of its first report."""
    last: float
    """End of its latest report."""
    period: float
    """Seconds covered by its latest report."""


class Reader:
    """Read-only access; thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connections: dict[tuple[Kind, int], sqlite3.Connection] = {}
        self._openings: dict[tuple[Kind, int], int] = {}
        """A number for each opened connection, unique within this reader."""
        self._opened = 0
        self._cache: dict[Hashable, tuple[object, Any]] = {}  # Any: each key has its own type
        self._lock = RLock()

    def check(self) -> None:
        """
        Open every file.

        Raises:
            StoreError: a file is damaged or was written by another version.
        """
        with self._lock:
            for kind in KINDS:
                self.rows(kind, "SELECT 1")
            self.close()

    def rows(
        self, kind: Kind, sql: str, values: Sequence[object] = (), *, start: float = 0, end: float = _FOREVER
    ) -> list[Row]:
        """
        Run a query on the file of every day from ``start`` to ``end`` (exclusive); rows of the oldest day come first.

        Raises:
            StoreError: a file cannot be read; the message names it.
        """
        found: list[Row] = []
        with self._lock:
            for day, connection in self._open(kind, files.day_of(start), files.day_of(end - 1e-3)):
                with self._translated_errors(kind, day):
                    found += connection.execute(sql, values).fetchall()
        return found

    def cached(self, key: Hashable, make: Callable[[], _Value], *, start: float, end: float) -> _Value:
        """Cache the result of ``make`` until the metrics of these days change; callers must not modify it."""
        # Taken before reading, so that a write in the meantime is noticed next time.
        versions = self._versions(start, end)
        known = self._cache.get(key)
        if known is not None and known[0] == versions:
            return known[1]  # type: ignore[no-any-return]  # the result of make()
        value = make()
        with self._lock:
            self._cache.pop(key, None)
            self._cache[key] = versions, value
            while len(self._cache) > _MAX_CACHED:
                self._cache.pop(next(iter(self._cache)))
        return value

    def _versions(self, start: float, end: float) -> tuple[tuple[int, int, int], ...]:
        """Return each day with metrics and numbers that change whenever its file is written."""
        found = []
        with self._lock:
            for day, connection in self._open("metrics", files.day_of(start), files.day_of(end - 1e-3)):
                with self._translated_errors("metrics", day):
                    version = connection.execute("PRAGMA data_version").fetchone()[0]
                found.append((day, self._openings["metrics", day], version))  # only comparable within one connection
        return tuple(found)

    def apps(self, *, start: float = 0, end: float = _FOREVER) -> list[StoredApp]:
        """Return the applications of these days without the doctor's probe, most recent report first."""
        seen: dict[str, StoredApp] = {}
        sql = "SELECT name, first, last, period FROM app"
        for name, first, last, period in self.rows("metrics", sql, start=start, end=end):
            known = seen.get(name, StoredApp(name, first, last, period))
            seen[name] = StoredApp(name, min(first, known.first), max(last, known.last), period)
        seen.pop(PROBE_APP, None)
        return sorted(seen.values(), key=lambda app: (-app.last, app.name))

    def forget(self, kind: Kind, day: int) -> None:
        """Delete the file of a day, which must not have a writer."""
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
                with self._translated_errors(kind, day):
                    connection = connect_to_read(files.path_of(self._directory, kind, day), kind)
                if connection is None:
                    continue
                self._connections[kind, day] = connection
                self._opened += 1
                self._openings[kind, day] = self._opened
            yield day, connection

    @contextmanager
    def _translated_errors(self, kind: Kind, day: int) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            connection = self._connections.pop((kind, day), None)
            if connection is not None:
                connection.close()
            raise StoreError(f"cannot read {files.path_of(self._directory, kind, day)}: {error}") from error
