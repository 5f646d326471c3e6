"""Reads the files of all days: one connection per file, opened on first use, one query at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Hashable, Sequence, Sized
from contextlib import closing
from pathlib import Path
from threading import RLock, local
from time import monotonic
from typing import Any, Final, TypeVar

from attrs import frozen

from scout_core.errors import ScoutError
from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.errors import StoreError, UnusableFile
from scout_dashboard.store import bulk, files
from scout_dashboard.store.damage import ERRORS, Damage, Day, is_damage
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.schema import connect_to_read
from scout_dashboard.store.unreadable import describe, find

Row = tuple[Any, ...]
"""Values in the order of the selected columns. Any: whatever SQLite returns."""


_FOREVER: Final = 1e12
_MAX_CACHED: Final = 128
_MAX_FIGURES: Final = 60_000
"""Figures in the cache, of up to 1 kB; a result with more of them is cached without any other."""
_EXAMINED_SECONDS: Final = 60.0
_MOST_ROWS: Final = 10_000
"""Rows of a file that are left out one by one; with more of them, the file is set aside."""
_Value = TypeVar("_Value")
_Figures = TypeVar("_Figures", bound=Sized)


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


def as_list(texts: Sequence[str]) -> str:
    """Return the value for ``IN (SELECT value FROM json_each(?))``, which has no limit to the number of texts."""
    return json.dumps(list(texts))


class Reader:
    """Read-only access; thread-safe."""

    def __init__(self, directory: Path, damage: Damage | None = None) -> None:
        """
        Args:
            damage: where files that cannot be used are noted; they are left out.
        """
        self._directory = directory
        self._damage = Damage(directory) if damage is None else damage
        self._connections: dict[tuple[Kind, int], sqlite3.Connection] = {}
        self._openings: dict[tuple[Kind, int], int] = {}
        """A number for each opened connection, unique within this reader."""
        self._opened = 0
        self._completed: dict[tuple[int, int], int] = {}
        """Days, with the number of their connection, whose minutes are all folded, and until when."""
        self._cache: dict[Hashable, tuple[object, Sized]] = {}
        """The least recently used first."""
        self._lock = RLock()
        self._used = local()
        """``files``: those that a thread has read for what it makes."""
        self._examined: dict[Day, float] = {}
        """When nothing was found that cannot be read."""

    def check(self) -> None:
        """
        Open every file, so that those that cannot be used are noted.

        Raises:
            StoreError: a file cannot be read at the moment.
        """
        with self._lock:
            for kind in KINDS:
                self.rows(kind, "SELECT 1")
            self.close()

    def readable(self, make: Callable[[], _Value]) -> _Value:
        """
        Return what a function makes of stored rows.

        When it fails, rows that cannot be read are looked for in the files that it has read. If there are any, they are noted and left
        out from then on, and the function is called again; otherwise, its error is raised.
        """
        while True:
            used: set[Day] = set()
            self._used.files = used
            before = self._damage.changes
            try:
                return make()
            except ScoutError:
                raise
            except Exception:  # a row may have anything, and so may the error
                newest = sorted(used, key=lambda file: file[1], reverse=True)
                is_found = self._has_changed(before) or any(self.examine(*file) for file in newest)
                if not is_found and not self._has_changed(before):
                    raise

    def examine(self, kind: Kind, day: int, *, is_certain: bool = False) -> bool:
        """
        Look for rows of a file that cannot be read, note them, and leave them out; return whether there are any.

        Args:
            is_certain: False for a failure that may have another cause, which is examined once a minute.
        """
        if not is_certain and monotonic() < self._examined.get((kind, day), 0.0) + _EXAMINED_SECONDS:
            return False
        try:
            connection = connect_to_read(files.path_of(self._directory, kind, day), kind)
            if connection is None:
                return False
            with closing(connection):
                rows = find(connection, kind, known=self._damage.rows_of(kind, day))
        except (*ERRORS, UnusableFile):
            return False
        if not rows:
            self._examined[kind, day] = monotonic()
            return False
        self.close_day(kind, day)
        if sum(map(len, rows.values())) > _MOST_ROWS:
            self._damage.note(kind, day, f"it is damaged: {describe(rows)}")
        else:
            self._damage.note_rows(kind, day, rows)
        return True

    def rows(
        self, kind: Kind, sql: str, values: Sequence[object] = (), *, start: float = 0, end: float = _FOREVER
    ) -> list[Row]:
        """
        Run a query on the file of every day from ``start`` to ``end`` (exclusive); rows of the oldest day come first.

        The file of a day that cannot be used is left out, and so are rows that cannot be read.

        Raises:
            StoreError: a file cannot be read at the moment; the message names it.
        """
        found = self._of_days(kind, lambda connection: connection.execute(sql, values).fetchall(), start=start, end=end)
        return [row for _, rows in found for row in rows]

    def read(
        self, kind: Kind, columns: Sequence[str], rest: str, values: Sequence[object] = (), *, start: float, end: float
    ) -> list[list[Any]]:
        """Run a query like ``rows``, with the arguments and the result of ``bulk.read``. Any: JSON."""
        found = self._of_days(
            kind, lambda connection: bulk.read(connection, columns, rest, values), start=start, end=end
        )
        return [row for _, rows in found for row in rows]

    def cached(self, key: Hashable, make: Callable[[], _Figures], *, start: float, end: float) -> _Figures:
        """Cache the figures that ``make`` returns until the metrics of these days change; callers must not modify them."""
        # Taken before reading, so that a write in the meantime is noticed next time.
        versions = self._versions(start, end)
        with self._lock:
            known = self._cache.get(key)
            if known is not None and known[0] == versions:
                self._cache[key] = self._cache.pop(key)
                return known[1]  # type: ignore[return-value]  # the result of make()
        value = make()
        with self._lock:
            self._cache.pop(key, None)
            self._cache[key] = versions, value
            size = sum(len(figures) for _, figures in self._cache.values())
            while len(self._cache) > 1 and (len(self._cache) > _MAX_CACHED or size > _MAX_FIGURES):
                _, oldest = self._cache.pop(next(iter(self._cache)))
                size -= len(oldest)
        return value

    def _versions(self, start: float, end: float) -> tuple[tuple[int, int, int], ...]:
        """Return each day with metrics and numbers that change whenever its file is written."""
        sql = "PRAGMA data_version"
        with self._lock:
            found = self._of_days(
                "metrics", lambda connection: connection.execute(sql).fetchone()[0], start=start, end=end
            )
            # Only comparable within one connection.
            return tuple((day, self._openings["metrics", day], version) for day, version in found)

    def days(self, kind: Kind, *, start: float, end: float) -> list[int]:
        """Return the days of a range that have a file, oldest first."""
        return [day for day, _ in self._of_days(kind, lambda _: None, start=start, end=end)]

    def folded(self, *, start: float = 0, end: float = _FOREVER) -> dict[int, int]:
        """Return each of these days with a file, oldest first, and the time until which its minutes are folded."""
        found = {}
        with self._lock:
            for day in self.days("metrics", start=start, end=end):
                opening = self._openings["metrics", day]
                until = self._completed.get((day, opening))
                if until is None:
                    # Without a row, as when it cannot be read, the minutes are read.
                    sql = "SELECT coalesce(max(until), 0) FROM fold"
                    rows = self.rows("metrics", sql, start=day * files.DAY, end=(day + 1) * files.DAY)
                    if not rows:
                        continue
                    until = rows[0][0]
                    if until >= (day + 1) * files.DAY:  # it stays so
                        self._completed[day, opening] = until
                found[day] = until
        return found

    def apps(self, *, start: float = 0, end: float = _FOREVER) -> list[StoredApp]:
        """Return the applications of these days without the doctor's probe, most recent report first."""
        seen: dict[str, StoredApp] = {}
        # Earlier versions stored any start of a report, which then counted as time without transactions.
        sql = "SELECT name, max(first, last - ?), last, min(period, ?) FROM app"
        for name, first, last, period in self.rows("metrics", sql, (2 * files.DAY, files.DAY), start=start, end=end):
            known = seen.get(name, StoredApp(name, first, last, period))
            seen[name] = StoredApp(name, min(first, known.first), max(last, known.last), period)
        seen.pop(PROBE_APP, None)
        return sorted(seen.values(), key=lambda app: (-app.last, app.name))

    def forget(self, kind: Kind, day: int) -> None:
        """Delete the file of a day, which must not have a writer."""
        with self._lock:
            self.close_day(kind, day)
            files.remove(self._directory, kind, day)

    def set_aside(self, kind: Kind, day: int) -> None:
        """Rename the file of a day that is noted as unusable, which must not have a writer."""
        with self._lock:
            self.close_day(kind, day)
            self._damage.move(kind, day)

    def close_day(self, kind: Kind, day: int) -> None:
        """Close the file of a day; it is opened again when it is read."""
        with self._lock:
            connection = self._connections.pop((kind, day), None)
            if connection is not None:
                connection.close()

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()

    def _has_changed(self, before: int) -> bool:
        """Return whether another thread has noted something in the meantime, so that it may succeed now."""
        return self._damage.changes != before

    def _of_days(
        self, kind: Kind, run: Callable[[sqlite3.Connection], _Value], *, start: float, end: float
    ) -> list[tuple[int, _Value]]:
        """Return what a function returns for the file of each day, the oldest day first, without those that cannot be used."""
        first, last = files.day_of(start), files.day_of(end - 1e-3)
        with self._lock:
            days = [day for day in files.days(self._directory, kind) if first <= day <= last]
            return [(day, value) for day in days for value in self._run(kind, day, run)]

    def _run(self, kind: Kind, day: int, run: Callable[[sqlite3.Connection], _Value]) -> list[_Value]:
        """Return what a function returns for a file, in a list that is empty when the file cannot be used."""
        while not self._damage.is_noted(kind, day):
            before = self._damage.changes
            try:
                connection = self._connection_to(kind, day)
                return [] if connection is None else [run(connection)]
            except UnusableFile as error:
                self.close_day(kind, day)
                self._damage.note(kind, day, str(error))
            except ERRORS as error:
                self.close_day(kind, day)
                if not is_damage(error):  # it may be gone next time
                    raise StoreError(f"cannot read {files.path_of(self._directory, kind, day)}: {error}") from error
                is_found = self._has_changed(before) or self.examine(kind, day, is_certain=True)
                if not is_found and not self._has_changed(before):
                    self._damage.note(kind, day, f"it is damaged: {error}")
        return []

    def _connection_to(self, kind: Kind, day: int) -> sqlite3.Connection | None:
        self._used.__dict__.setdefault("files", set()).add((kind, day))
        known = self._connections.get((kind, day))
        if known is not None:
            return known
        connection = connect_to_read(
            files.path_of(self._directory, kind, day), kind, without=self._damage.rows_of(kind, day)
        )
        if connection is not None:
            self._connections[kind, day] = connection
            self._opened += 1
            self._openings[kind, day] = self._opened
        return connection
