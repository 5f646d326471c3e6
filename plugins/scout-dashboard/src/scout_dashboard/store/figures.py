"""Writes the figures of reports to the file of their day, and folds them. Within transactions that the caller opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field

from scout_core.measuring.report import TransactionMetrics
from scout_core.operations import is_web
from scout_dashboard.store import bulk, revisions
from scout_dashboard.store.error_groups import ErrorGroups
from scout_dashboard.store.error_sums import ErrorSums
from scout_dashboard.store.levels import FOLD, MINUTE
from scout_dashboard.store.operation_sums import OperationSums
from scout_dashboard.store.operations import Operations
from scout_dashboard.store.processes import Processes
from scout_dashboard.store.queue_sums import QueueSums
from scout_dashboard.store.rollup_tables import BY_ERROR, BY_NAME, BY_OPERATION, BY_QUEUE, Series, Slices
from scout_dashboard.store.sums import Sums
from scout_dashboard.store.writing import Incoming

TOTAL_NAME: Final = ""
"""Name of the series with the sum of an application's web transactions, or of its jobs; ``is_total`` distinguishes it."""

_NAMES: Final = ("app", "is_total", "is_web", "name")
_QUEUES: Final = ("app", "is_total", "name", "queue")
_ERRORS: Final = ("app", "is_total", "grp", "name")
_OPERATIONS: Final = ("app", "op")
_FIRST: Final = (
    "SELECT min(start) FROM (SELECT min(start) AS start FROM rollup WHERE level = ?"
    " UNION ALL SELECT min(start) FROM error_rollup WHERE level = ?"
    " UNION ALL SELECT min(start) FROM operation_rollup WHERE level = ?)"
)
_Added = list[tuple[tuple[object, ...], int, Any]]
"""Key of a series, minute and figures. Any: of a name, a queue, a group of errors or an operation."""


@define
class DayFigures:
    """The figures of a file while it is written. Unusable after a transaction that failed: what it remembers is not stored."""

    _connection: sqlite3.Connection
    until: int = field(init=False)
    """Minutes before it are folded, Unix time."""
    _names: Series = field(init=False)
    _queues: Series = field(init=False)
    _processes: Processes = field(init=False)
    _by_name: Slices[Sums] = field(init=False)
    _by_queue: Slices[QueueSums] = field(init=False)
    _errors: Series = field(init=False)
    _by_error: Slices[ErrorSums] = field(init=False)
    _groups: ErrorGroups = field(init=False)
    _operation_series: Series = field(init=False)
    _by_operation: Slices[OperationSums] = field(init=False)
    _operations: Operations = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.until = folded_until(self._connection)
        (last,) = self._connection.execute("SELECT coalesce(max(last), 0) FROM app").fetchone()
        newest = int(last // MINUTE) * MINUTE
        self._names = Series(self._connection, "series", _NAMES)
        self._queues = Series(self._connection, "job_queue", _QUEUES)
        self._processes = Processes(self._connection)
        self._by_name = Slices(self._connection, BY_NAME, newest)
        self._by_queue = Slices(self._connection, BY_QUEUE, newest)
        self._errors = Series(self._connection, "error_series", _ERRORS)
        self._by_error = Slices(self._connection, BY_ERROR, newest)
        self._groups = ErrorGroups(self._connection)
        self._operation_series = Series(self._connection, "operation_series", _OPERATIONS)
        self._by_operation = Slices(self._connection, BY_OPERATION, newest)
        self._operations = Operations(self._connection)

    def write(self, incoming: Sequence[Incoming]) -> None:
        """Write everything of new reports except the traces."""
        reports = [new.report for new in incoming]
        bulk.insert(self._connection, "INSERT INTO report (id)", [(report.id,) for report in reports])
        bulk.insert(
            self._connection,
            "INSERT INTO app (name, first, last, period)",
            [(report.process.app, report.start, report.end, report.end - report.start) for report in reports],
            then="ON CONFLICT (name) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last),"
            " period = excluded.period",
        )
        self._processes.write(incoming)
        revisions.write(self._connection, reports)
        names: _Added = []
        queues: _Added = []
        for report in reports:
            minute, app = int(report.end // MINUTE) * MINUTE, report.process.app
            for metrics in report.transactions:
                web = is_web(metrics.name)
                names.append(((app, 0, int(web), metrics.name), minute, metrics))
                names.append(((app, 1, int(web), TOTAL_NAME), minute, metrics))
                if not web:
                    queues += _queues_of(metrics, app, minute)
        self._add(self._names, self._by_name, names)
        self._add(self._queues, self._by_queue, queues)
        errors: _Added = [
            (key, int(report.end // MINUTE) * MINUTE, sums) for key, report, sums in self._groups.write(reports)
        ]
        self._add(self._errors, self._by_error, errors)
        operations: _Added = [
            (key, int(report.end // MINUTE) * MINUTE, sums) for key, report, sums in self._operations.write(reports)
        ]
        self._add(self._operation_series, self._by_operation, operations)

    def fold(self, until: int, *, most: int) -> bool:
        """
        Fold complete minutes.

        Args:
            until: fold no later ones.
            most: number of times that ``FOLD`` seconds are folded.

        Returns:
            False when more is left to fold.
        """
        if not self.until:
            (first,) = self._connection.execute(_FIRST, (MINUTE, MINUTE, MINUTE)).fetchone()
            self.until = until if first is None else min(until, first // FOLD * FOLD)
        for _ in range(most):
            if self.until >= until:
                break
            self._by_name.fold(self.until)
            self._by_queue.fold(self.until)
            self._by_error.fold(self.until)
            self._by_operation.fold(self.until)
            self.until += FOLD
        self._connection.execute("UPDATE fold SET until = ?", (self.until,))
        return self.until >= until

    def _add(self, series: Series, slices: Slices[Any], added: _Added) -> None:  # Any: of names or of queues
        numbers = series.numbers(key for key, _, _ in added)
        slices.add([(numbers[key], minute, figures) for key, minute, figures in added], until=self.until)


def folded_until(connection: sqlite3.Connection) -> int:
    """Return the time until which the minutes of a file are folded."""
    (until,) = connection.execute("SELECT max(until) FROM fold").fetchone()
    return int(until)


def _queues_of(metrics: TransactionMetrics, app: str, minute: int) -> _Added:
    return [
        (key, minute, figures)
        for queue, figures in metrics.queues.items()
        for key in ((app, 0, metrics.name, queue), (app, 1, TOTAL_NAME, queue))
    ]
