"""Day files that cannot be used: they are set aside under another name, so that the other days go on working."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from json import JSONDecodeError
from pathlib import Path
from threading import Lock
from typing import Final

from attrs import frozen

from scout_core.log import Log
from scout_core.private_files import read_private_bytes, replace_file
from scout_dashboard.store import files
from scout_dashboard.store.files import Kind
from scout_dashboard.store.unreadable import Rows, describe

SUFFIX: Final = ".damaged"
_REASON: Final = ".txt"
_NAME: Final = re.compile(r"(?:metrics|traces)-\d{4}-\d\d-\d\d\.sqlite\.damaged(?:-(\d+)-rows)?(?:-\d+)?")
_PASSING: Final = (
    "locked", "busy", "full", "disk i/o", "unable to open", "readonly", "out of memory", "interrupted",
)  # fmt: skip
"""Errors of SQLite that may be gone next time."""
ERRORS: Final = (sqlite3.Error, UnicodeDecodeError, JSONDecodeError)
"""Errors of a damaged file. A message of SQLite has a text of the file, which may not be UTF-8, and a value may not be JSON any more."""

log = Log("scout_core.dashboard")
Day = tuple[Kind, int]


@frozen(kw_only=True)
class DamagedFile:
    """A file that was set aside, or will be with the next report."""

    name: str
    """In the data directory."""
    kind: str
    day: str
    """``2026-11-21``."""
    reason: str
    rows: int = 0
    """Only so many rows cannot be read; 0: none can."""


def is_damage(error: Exception) -> bool:
    """Return whether a file has something that cannot be used, rather than that it is locked, on a full disk, or used wrongly."""
    if isinstance(error, (sqlite3.InterfaceError, sqlite3.ProgrammingError)):
        return False
    return not isinstance(error, sqlite3.OperationalError) or not any(text in str(error).lower() for text in _PASSING)


class Damage:
    """
    The files of a data directory that cannot be used, and rows of others that cannot be read. Thread-safe.

    A reader only notes them, and leaves them out from then on. The writer moves them, because it may have the file open.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._noted: dict[Day, str] = {}
        self._rows: dict[Day, Rows] = {}
        self.changes = 0
        """A number that grows whenever something is noted."""
        self._lock = Lock()

    def note(self, kind: Kind, day: int, reason: str) -> None:
        """Leave a file out."""
        with self._lock:
            if (kind, day) in self._noted:
                return
            self._noted[kind, day] = reason
            self.changes += 1
        log.error("%s cannot be used, and is left out: %s", files.path_of(self._directory, kind, day), reason)

    def is_noted(self, kind: Kind, day: int) -> bool:
        """Return whether a file is left out."""
        return (kind, day) in self._noted

    def noted(self) -> list[Day]:
        """Return the files that are not yet moved."""
        with self._lock:
            return [*self._noted]

    def note_rows(self, kind: Kind, day: int, rows: Rows) -> None:
        """Leave rows of a file out."""
        with self._lock:
            known = self._rows.get((kind, day), {})
            self._rows[kind, day] = {table: known.get(table, {}) | rows.get(table, {}) for table in (*known, *rows)}
            self.changes += 1
        log.error(
            "rows of %s cannot be read, and are left out: %s", files.path_of(self._directory, kind, day), describe(rows)
        )

    def rows_of(self, kind: Kind, day: int) -> Rows:
        """Return the rows of a file that are left out."""
        return self._rows.get((kind, day), {})

    def with_rows(self) -> list[Day]:
        """Return the files from which rows are left out and not yet moved."""
        with self._lock:
            return [*self._rows]

    def write_rows(self, kind: Kind, day: int, removed: Sequence[object]) -> None:
        """
        Write rows that are removed from a file beside it, with the reason.

        Raises:
            OSError: they cannot be written.
        """
        path = files.path_of(self._directory, kind, day)
        new = _free_name(path, f"{SUFFIX}-{len(removed)}-rows")
        replace_file(new, "".join(f"{json.dumps(row)}\n" for row in removed), mode=0o600)
        replace_file(new.with_name(new.name + _REASON), describe(self.rows_of(kind, day)), mode=0o600)

    def forget_rows(self, kind: Kind, day: int) -> None:
        """Forget rows that are moved."""
        with self._lock:
            self._rows.pop((kind, day), None)

    def move(self, kind: Kind, day: int) -> None:
        """
        Rename a noted file, which must not be open, with SQLite's own files, and write the reason beside it.

        Raises:
            OSError: it cannot be renamed.
        """
        path = files.path_of(self._directory, kind, day)
        new = _free_name(path)
        for suffix in files.SUFFIXES:
            with suppress(FileNotFoundError):
                os.rename(path.with_name(path.name + suffix), new.with_name(new.name + suffix))
        with self._lock:
            reason = self._noted.pop((kind, day))
            self._rows.pop((kind, day), None)
        with suppress(OSError):  # disk full: the log has the reason
            replace_file(new.with_name(new.name + _REASON), reason, mode=0o600)

    def found(self) -> list[DamagedFile]:
        """Return all of them, the latest day first, also those of earlier runs."""
        with self._lock:
            noted = [_facts(files.path_of(self._directory, *day).name, reason) for day, reason in self._noted.items()]
            rows = [
                _facts(files.path_of(self._directory, *day).name, describe(of_day), sum(map(len, of_day.values())))
                for day, of_day in self._rows.items()
                if day not in self._noted
            ]
        moved = [
            _facts(name, _reason_of(self._directory / name), int(match[1] or 0))
            for name in os.listdir(self._directory)
            if (match := _NAME.fullmatch(name))
        ]
        return sorted((*noted, *rows, *moved), key=lambda file: file.day, reverse=True)

    def expire(self, kind: Kind, oldest: int) -> None:
        """Delete the files of a kind whose day is before the oldest one that is kept; links and directories stay."""
        limit = files.path_of(self._directory, kind, oldest).name
        for file in self.found():
            is_expired = file.kind == kind and SUFFIX in file.name and file.name < limit
            path = self._directory / file.name
            if is_expired and all(files.remove_regular(path.with_name(path.name + it)) for it in files.SUFFIXES):
                files.remove_regular(path.with_name(path.name + _REASON))


def _free_name(path: Path, suffix: str = SUFFIX) -> Path:
    new = path.with_name(f"{path.name}{suffix}")
    number = 1
    while os.path.lexists(new):
        number += 1
        new = path.with_name(f"{path.name}{suffix}-{number}")
    return new


def _reason_of(path: Path) -> str:
    try:
        content = read_private_bytes(path.with_name(path.name + _REASON))
    except OSError:
        content = None
    return (content or b"the reason is not known").decode("utf-8", errors="replace")[:1_000]


def _facts(name: str, reason: str, rows: int = 0) -> DamagedFile:
    kind, _, rest = name.partition("-")
    return DamagedFile(name=name, kind=kind, day=rest[:10], reason=reason, rows=rows)
