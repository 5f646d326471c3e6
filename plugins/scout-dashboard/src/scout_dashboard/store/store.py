"""The store: writes reports, deletes expired days and provides the reader. Only the reader is thread-safe."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from scout_core.log import Log
from scout_core.measuring.report import Report
from scout_dashboard.errors import StoreError, StoreFull
from scout_dashboard.options import RETENTION_DAYS, TRACE_RETENTION_DAYS
from scout_dashboard.store import files, writing
from scout_dashboard.store.connections import Connections, Damaged, transaction
from scout_dashboard.store.damage import Damage, Day
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.levels import FOLD
from scout_dashboard.store.lock import lock_directory
from scout_dashboard.store.markers import Marker, add, known_as
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.retention import expiry_day
from scout_dashboard.store.unreadable import remove
from scout_dashboard.store.writing import Incoming

log = Log("scout_core.dashboard")
_Written = TypeVar("_Written")
_FOLD_AFTER: Final = 120
"""Seconds after which a minute is folded: a later report costs six times as much."""
_FOLDS: Final = 12
"""Times that ``FOLD`` seconds are folded in one transaction."""
_MOST_ATTEMPTS: Final = 6
"""To write a report: both files of its day may have rows that cannot be read, and may be damaged."""


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

        A file that cannot be used is set aside, see ``damage``.

        Raises:
            StoreError: the directory is unusable or in use.
        """
        self.directory = files.private_data_directory(directory)
        self.retention_days = retention_days
        self.trace_retention_days = trace_retention_days
        self.lock = lock_directory(self.directory)
        self.damage = Damage(self.directory)
        self.reader = Reader(self.directory, self.damage)
        self._connections = Connections(self.directory)
        self._unfolded: set[int] = set()
        """Days whose file has minutes that are not folded."""
        self._tidied = 0, 0
        """The days of the last ``tidy``: by which data expired, and of the clock."""
        self.doubtful = 0
        """Files that are past their retention, and kept because the clock may be wrong."""
        try:
            self.reader.check()
            self._set_aside_damaged()
            self.tidy(time.time())
            folded = self.reader.readable(self.reader.folded)
            self._unfolded.update(day for day, until in folded.items() if until < (day + 1) * files.DAY)
        except (StoreError, OSError, sqlite3.Error) as error:
            self.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"cannot use {self.directory}: {error}; choose another with --data-dir") from error

    def apply(self, report: Report, *, now: float, corrected: Mapping[str, int] | None = None) -> bool:
        """
        Store a report, and fold what is complete; see ``apply_all``.

        Args:
            corrected: how many of its values were corrected, by reason; stored with its process.

        Returns:
            False when it was stored before; nothing changes then.
        """
        (is_new,) = self.apply_all([Incoming(report=report, corrected=corrected or {})], now=now)
        self.fold(now)
        return is_new

    def apply_all(self, incoming: Sequence[Incoming], *, now: float) -> list[bool]:
        """
        Store reports completely and exactly once, under the minute of their ``end``; those of one day in one transaction.

        Returns:
            False for each that was stored before; nothing changes then.

        Raises:
            StoreFull: no space left; the senders may retry.
            StoreError: the file of a day is unusable. Reports of other days may have been stored, which is known when they are sent
                again.
        """
        by_day: dict[int, list[Incoming]] = {}
        for new in incoming:
            by_day.setdefault(files.day_of(new.report.end), []).append(new)
        stored: set[int] = set()
        for day, of_day in by_day.items():
            stored.update(id(new) for new in self._change_day(day, now, partial(self._write, day, of_day, now)))
        return [id(new) in stored for new in incoming]

    def mark(self, marker: Marker, *, now: float) -> Marker:
        """Store a deploy marked by hand, or return the same one that was marked at nearly the same time; raises as ``apply_all``."""
        day = files.day_of(marker.at)
        return known_as(self.reader, marker) or self._change_day(day, now, partial(self._mark, day, marker))

    def fold(self, now: float) -> bool:
        """
        Fold minutes into coarser slices, two minutes after they are over; an hour of them at a time.

        Returns:
            False when more is left to fold.

        Raises:
            StoreFull: no space left.
            StoreError: the file of a day is unusable.
        """
        for day in sorted(self._unfolded):
            end = (day + 1) * files.DAY
            until = min(end, int((now - _FOLD_AFTER) // FOLD) * FOLD)
            if until <= day * files.DAY:
                continue
            with self._translated_errors(day):
                try:
                    is_done = self._fold(day, until)
                except Damaged as error:  # set aside before the next report
                    self._note(error)
                    continue
            if not is_done:
                return False
            if until == end:
                self._unfolded.discard(day)
        return True

    def _fold(self, day: int, until: int) -> bool:
        with self._connections.to("metrics", day) as metrics:
            if self._connections.figures(day, metrics).until >= until:
                return True
            with self._connections.changing(day, metrics) as figures:
                return figures.fold(until, most=_FOLDS)

    def _change_day(self, day: int, now: float, write: Callable[[], _Written]) -> _Written:
        with self._translated_errors(day):
            self.tidy(now)
            self._set_aside_damaged()
            for _ in range(_MOST_ATTEMPTS):
                try:
                    return write()
                except Damaged as error:  # the reports go into a file without these rows, or into a new one
                    self._note(error)
                    self._set_aside_damaged()
        raise StoreError(f"new files in {self.directory} are damaged, too; check its disk")

    def _mark(self, day: int, marker: Marker) -> Marker:
        with self._connections.to("metrics", day) as metrics, transaction(metrics):
            return add(metrics, marker)

    def _write(self, day: int, incoming: Sequence[Incoming], now: float) -> list[Incoming]:
        """Write those reports that are not yet stored, and return them."""
        with self._connections.to("metrics", day) as metrics:
            known = writing.known_ids(metrics, incoming)
            first = {new.report.id: new for new in reversed(incoming) if new.report.id not in known}
            new = [report for report in incoming if first.get(report.report.id) is report]
            if not new:
                return []
            # SQLite commits two files in WAL mode one after the other. Traces come first, because storing them twice is
            # harmless; a report counts once its metrics and its id are committed, in one transaction.
            with_traces = [report.report for report in new if report.report.traces]
            if with_traces and day >= files.day_of(now) - self.trace_retention_days:
                with self._connections.to("traces", day) as traces, transaction(traces):
                    writing.write_traces(traces, with_traces)
            with self._connections.changing(day, metrics) as figures:
                figures.write(new)
                if figures.until < (day + 1) * files.DAY:
                    self._unfolded.add(day)
        return new

    def tidy(self, now: float) -> None:
        """
        Delete expired days, at most once a day.

        Days that are only expired by a clock that may be wrong are kept, see ``expiry_day``, and logged.
        """
        today = files.day_of(now)
        by_day = expiry_day((day for kind in KINDS for day in files.days(self.directory, kind)), today)
        if (by_day, today) == self._tidied:
            return
        self._tidied = by_day, today
        kept: dict[Kind, int] = {"metrics": self.retention_days, "traces": self.trace_retention_days}
        self.doubtful = 0
        for kind, count in kept.items():
            for day in files.days(self.directory, kind):
                if day < by_day - count:
                    self._drop(kind, day)
                elif day < today - count:
                    self.doubtful += 1
            self.damage.expire(kind, by_day - count)
        if ahead := self.ahead(now):
            log.warning(
                "%d files in %s are of days to come, up to %s: check the clock, and move these files away or delete them",
                len(ahead), self.directory, files.path_of(self.directory, *ahead[-1]).name,
            )  # fmt: skip
        if self.doubtful:
            log.warning(
                "%d files in %s are past their retention by the clock of this machine, but it is %d days ahead of the latest data"
                " before them; they are kept, check the clock", self.doubtful, self.directory, today - by_day + 1,
            )  # fmt: skip

    def ahead(self, now: float) -> list[Day]:
        """Return the files of days that begin more than an hour after now, in order of their day: a clock was wrong."""
        found = [(kind, day) for kind in KINDS for day in files.days(self.directory, kind)]
        return sorted((file for file in found if file[1] * files.DAY > now + files.AHEAD), key=lambda file: file[1])

    def oldest_kept(self, now: float) -> float:
        """Return the start of the retention, as Unix time."""
        return float((files.day_of(now) - self.retention_days) * files.DAY)

    def size_bytes(self) -> int:
        """Return the size of the data on disk."""
        return sum(files.sizes(self.directory))

    def close(self) -> None:
        """Close all files and release the directory."""
        self._connections.close_all()
        self.reader.close()
        self.lock.release()

    def _note(self, damaged: Damaged) -> None:
        """
        Note the rows of a file that cannot be read; without any, the file.

        Raises:
            Exception: no row is damaged, and the cause need not be the file.
        """
        if self.reader.examine(*damaged.file, is_certain=damaged.reason is not None):
            return
        if damaged.reason is None and damaged.__cause__ is not None:
            raise damaged.__cause__
        self.damage.note(*damaged.file, damaged.reason or "")

    def _set_aside_damaged(self) -> None:
        for kind, day in self.damage.noted():
            self._close(kind, day)
            self.reader.set_aside(kind, day)
        for kind, day in self.damage.with_rows():
            self._remove_rows(kind, day)

    def _remove_rows(self, kind: Kind, day: int) -> None:
        """Move the rows of a file that cannot be read to another file."""
        try:
            with self._connections.to(kind, day) as connection, transaction(connection):
                removed = remove(connection, self.damage.rows_of(kind, day))
                self.damage.write_rows(kind, day, removed)
        except Damaged as error:
            self.damage.note(*error.file, error.reason or f"it is damaged: {error.__cause__}")
        self._connections.close(kind, day)  # what is remembered of it
        self.damage.forget_rows(kind, day)
        self.reader.close_day(kind, day)

    def _drop(self, kind: Kind, day: int) -> None:
        self._close(kind, day)
        self.reader.forget(kind, day)

    def _close(self, kind: Kind, day: int) -> None:
        if kind == "metrics":
            self._unfolded.discard(day)
        self._connections.close(kind, day)

    @contextmanager
    def _translated_errors(self, day: int) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._connections.close_day(day)
            raise _store_error(error, self.directory) from error


def _store_error(error: sqlite3.Error | OSError, directory: Path) -> StoreError:
    if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.OperationalError):
        return StoreError(f"cannot write to a file in {directory}: {error}")
    if "locked" in str(error):
        return StoreError(f"another program has locked the files in {directory}")
    return StoreFull(f"cannot write to {directory} ({error}); free some disk space")
