"""The store: writes reports, deletes expired days and provides the reader. Only the reader is thread-safe."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from scout_core.measuring.report import Report
from scout_dashboard.errors import StoreError, StoreFull
from scout_dashboard.options import RETENTION_DAYS, TRACE_RETENTION_DAYS
from scout_dashboard.store import files, writing
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.lock import DirectoryLock
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.schema import connect

_MAX_OPEN: Final = 4
"""Write connections: today's two and, around midnight or for a late report, two of another day."""


class Store:
    """A data directory, locked until ``close``."""

    def __init__(
        self, directory: Path, *, retention_days: int = RETENTION_DAYS, trace_retention_days: int = TRACE_RETENTION_DAYS
    ) -> None:
        """
        Args:
            directory: created if it is missing.
            retention_days: number of days before today to keep; 30 keeps at least 30 times 24 hours.
            trace_retention_days: the same for traces.

        Raises:
            StoreError: the directory is unusable or in use, or a file in it cannot be read.
        """
        self.directory = files.private_data_directory(directory)
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
        Store a report completely and exactly once, under the minute of its ``end``.

        Returns:
            False when it was stored before; nothing changes then.

        Raises:
            StoreFull: no space left; nothing of the report was stored, so the sender may retry.
            StoreError: the file of its day is unusable.
        """
        day = files.day_of(report.end)
        with self._translated_errors(day):
            self.tidy(now)
            metrics = self._writer("metrics", day)
            if writing.is_known(metrics, report.id):
                return False
            # SQLite commits two files in WAL mode one after the other. Traces come first, because storing them twice is
            # harmless; the report counts once its metrics and its id are committed, in one transaction.
            if report.traces and day >= files.day_of(now) - self.trace_retention_days:
                with _transaction(self._writer("traces", day)) as traces:
                    writing.write_traces(traces, report)
            with _transaction(metrics):
                writing.write_metrics(metrics, report)
        return True

    def tidy(self, now: float) -> None:
        """Delete expired days, at most once a day."""
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
        """Return the start of the retention, as Unix time."""
        return float((files.day_of(now) - self.retention_days) * files.DAY)

    def size_bytes(self) -> int:
        """Return the size of the data on disk."""
        return sum(files.sizes(self.directory))

    def close(self) -> None:
        """Close all files and release the directory."""
        for connection in self._writers.values():
            with suppress(sqlite3.Error):  # disk full: the log stays next to its file and is read next time
                connection.close()
        self._writers.clear()
        self.reader.close()
        self.lock.release()

    def _writer(self, kind: Kind, day: int) -> sqlite3.Connection:
        known = self._writers.pop((kind, day), None)
        self._writers[kind, day] = connection = known or connect(files.path_of(self.directory, kind, day), kind)
        while len(self._writers) > _MAX_OPEN:
            self._writers.pop(next(iter(self._writers))).close()
        return connection

    def _drop(self, kind: Kind, day: int) -> None:
        writer = self._writers.pop((kind, day), None)
        if writer is not None:
            writer.close()
        self.reader.forget(kind, day)

    @contextmanager
    def _translated_errors(self, day: int) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            for kind in KINDS:
                connection = self._writers.pop((kind, day), None)
                if connection is not None:
                    with suppress(sqlite3.Error):
                        connection.close()
            raise _store_error(error, self.directory) from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # disk full: closing the connection rolls back too
                connection.execute("ROLLBACK")


def _store_error(error: sqlite3.Error | OSError, directory: Path) -> StoreError:
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.OperationalError):
        return StoreError(f"a file in {directory} is unusable ({error}); move it away and restart")
    if "locked" in str(error):
        return StoreError(f"another program has locked the files in {directory}")
    return StoreFull(f"cannot write to {directory} ({error}); free some disk space")
