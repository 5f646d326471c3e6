"""The store: applies reports, drops old days, and hands out the reader. Everything but the reader is for one thread at a time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from scout_core.measuring.report import Report
from scout_dashboard.errors import StoreError, StoreFull
from scout_dashboard.store import files, writing
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.lock import DirectoryLock
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.schema import connect

RETENTION_DAYS: Final = 30
TRACE_RETENTION_DAYS: Final = 7
_MOST_OPEN: Final = 4
"""Connections to write; today's two and, round midnight or for a late report, another day's two."""


class Store:
    """A data directory, locked until ``close``."""

    def __init__(
        self, directory: Path, *, retention_days: int = RETENTION_DAYS, trace_retention_days: int = TRACE_RETENTION_DAYS
    ) -> None:
        """
        Args:
            directory: made if need be.
            retention_days: how many days before today are kept; 30 keeps at least 30 times 24 hours.
            trace_retention_days: the same for traces.

        Raises:
            StoreError: the directory cannot be used, another collector has it, or a file in it cannot be read.
        """
        self.directory = files.data_directory(directory)
        self.retention_days = retention_days
        self.trace_retention_days = trace_retention_days
        self.lock = DirectoryLock(self.directory)
        self.reader = Reader(self.directory)
        self._writers: dict[tuple[Kind, int], sqlite3.Connection] = {}
        self._tidied = 0
        try:
            self.reader.check()
            self.tidy(time.time())
        except StoreError:
            self.close()
            raise

    def apply(self, report: Report, *, now: float) -> bool:
        """
        Store a report: all of it, once, under the minute of its ``end``.

        Returns:
            False when it was stored before; nothing changes then.

        Raises:
            StoreFull: no space; nothing of it counts, and the same report may come again.
            StoreError: its day's file cannot be used.
        """
        day = files.day_of(report.end)
        with self._failures_explained(day):
            self.tidy(now)
            metrics = self._writer("metrics", day)
            if writing.is_known(metrics, report.id):
                return False
            # SQLite commits two files in WAL mode one after the other. So traces first, which may safely come twice;
            # the report counts from the commit of its figures and its id, which are one transaction.
            if report.traces and day >= files.day_of(now) - self.trace_retention_days:
                with _transaction(self._writer("traces", day)) as traces:
                    writing.write_traces(traces, report)
            with _transaction(metrics):
                writing.write_metrics(metrics, report)
        return True

    def tidy(self, now: float) -> None:
        """Drop the days that are past their retention; does nothing twice on one day."""
        today = files.day_of(now)
        if today == self._tidied:
            return
        self._tidied = today
        kept: dict[Kind, int] = {"metrics": self.retention_days, "traces": self.trace_retention_days}
        for kind, count in kept.items():
            for day in files.days(self.directory, kind):
                if day < today - count:
                    self._drop(kind, day)

    def oldest_kept(self, now: float) -> float:
        """The first moment, Unix time, that is not past its retention."""
        return float((files.day_of(now) - self.retention_days) * files.DAY)

    def size_bytes(self) -> int:
        """What the data takes on disk."""
        return sum(files.sizes(self.directory))

    def close(self) -> None:
        """Put everything in place and let go of the directory."""
        for connection in self._writers.values():
            with suppress(sqlite3.Error):  # a full disk: the log stays beside its file and is read the next time
                connection.close()
        self._writers.clear()
        self.reader.close()
        self.lock.release()

    def _writer(self, kind: Kind, day: int) -> sqlite3.Connection:
        known = self._writers.pop((kind, day), None)
        self._writers[kind, day] = connection = known or connect(files.path_of(self.directory, kind, day), kind)
        while len(self._writers) > _MOST_OPEN:
            self._writers.pop(next(iter(self._writers))).close()
        return connection

    def _drop(self, kind: Kind, day: int) -> None:
        writer = self._writers.pop((kind, day), None)
        if writer is not None:
            writer.close()
        self.reader.forget(kind, day)

    @contextmanager
    def _failures_explained(self, day: int) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            for kind in KINDS:
                connection = self._writers.pop((kind, day), None)
                if connection is not None:
                    with suppress(sqlite3.Error):
                        connection.close()
            raise _explained(error, self.directory) from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # the disk is full: closing the connection rolls back as well
                connection.execute("ROLLBACK")


def _explained(error: sqlite3.Error | OSError, directory: Path) -> StoreError:
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.OperationalError):
        return StoreError(f"a file in {directory} cannot be used ({error}): move it away and start again")
    if "locked" in str(error):
        return StoreError(f"another program holds a lock on the files in {directory}")
    return StoreFull(f"cannot write to {directory} ({error}): free some space")
