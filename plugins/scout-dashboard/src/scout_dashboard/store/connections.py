"""The write connections to the files of a few days, with what is remembered of each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import define, field

from scout_core.errors import ScoutError
from scout_dashboard.errors import UnusableFile
from scout_dashboard.store import files
from scout_dashboard.store.damage import ERRORS, Day, is_damage
from scout_dashboard.store.figures import DayFigures
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.schema import connect

_MAX_OPEN: Final = 4
"""Today's two and, around midnight or for a late report, two of another day."""


class Damaged(Exception):
    """A file cannot be used, or has a row that cannot be read; ``__cause__`` is what it caused."""

    def __init__(self, file: Day, reason: str | None) -> None:
        """
        Args:
            reason: why it cannot be used; None when the cause need not be the file.
        """
        super().__init__(reason)
        self.file = file
        self.reason = reason


@define
class Connections:
    """Connections of the one writer of a data directory."""

    _directory: Path
    _open: dict[Day, sqlite3.Connection] = field(init=False, factory=dict)
    """The one used last comes last."""
    _figures: dict[int, DayFigures] = field(init=False, factory=dict)

    @contextmanager
    def to(self, kind: Kind, day: int) -> Iterator[sqlite3.Connection]:
        """
        Yield the connection to the file of a day, which is created if it is missing.

        Raises:
            Damaged: the file cannot be used.
        """
        try:
            known = self._open.pop((kind, day), None)
            connection = known or connect(files.path_of(self._directory, kind, day), kind)
            self._open[kind, day] = connection
            while len(self._open) > _MAX_OPEN:
                self.close(*next(iter(self._open)))
            yield connection
        except UnusableFile as error:
            raise Damaged((kind, day), str(error)) from error
        except Damaged:
            raise  # of another file
        except ERRORS as error:
            if not is_damage(error):
                raise
            raise Damaged((kind, day), f"it is damaged: {error}") from error
        except (ScoutError, OSError):
            raise
        except Exception as error:  # a row may have anything, and so may the error
            raise Damaged((kind, day), None) from error

    def figures(self, day: int, connection: sqlite3.Connection) -> DayFigures:
        """Return the figures of a day, whose file is open."""
        if day not in self._figures:
            self._figures[day] = DayFigures(connection)
        return self._figures[day]

    @contextmanager
    def changing(self, day: int, connection: sqlite3.Connection) -> Iterator[DayFigures]:
        """Change the figures of a day in a transaction; when it fails, what they remember is forgotten."""
        figures = self.figures(day, connection)
        try:
            with transaction(connection):
                yield figures
        except BaseException:
            self._figures.pop(day, None)
            raise

    def close_day(self, day: int) -> None:
        """Close both files of a day."""
        for kind in KINDS:
            self.close(kind, day)

    def close(self, kind: Kind, day: int) -> None:
        """Close a file, if it is open."""
        if kind == "metrics":
            self._figures.pop(day, None)
        connection = self._open.pop((kind, day), None)
        if connection is not None:
            with suppress(sqlite3.Error):  # disk full: the log stays next to its file and is read next time
                connection.close()

    def close_all(self) -> None:
        """Close all files."""
        for kind, day in [*self._open]:
            self.close(kind, day)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # disk full: closing the connection rolls back too
                connection.execute("ROLLBACK")
