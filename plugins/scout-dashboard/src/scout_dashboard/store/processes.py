"""Writes the state of each process, and counts its reports. Within a transaction that the caller opened."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field, frozen

from scout_core.measuring.report import Report
from scout_core.sending.wire import CONVERTER
from scout_dashboard.store import bulk
from scout_dashboard.store.writing import Incoming

_MOST_REMEMBERED: Final = 5_000
"""Processes whose latest report is remembered."""
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode

# After a back-off reports may arrive out of order: a late one must not overwrite newer state. It is counted all the same,
# because a report's counters are older than its delivery, so only these sums include the last reports.
# The report with the highest number decides whether it was the last: after `flush()` a process may go on. None, of an agent that
# does not mark it, changes nothing. SQLite reads the former values of all columns.
_INTO: Final = (
    "INSERT INTO process (instance, app, started, seen, facts, stored, received, first_number, last_number, is_last)"
)
_THEN: Final = (
    "ON CONFLICT (instance) DO UPDATE SET"
    " app = CASE WHEN excluded.seen >= seen THEN excluded.app ELSE app END,"
    " started = CASE WHEN excluded.seen >= seen THEN excluded.started ELSE started END,"
    " facts = CASE WHEN excluded.seen >= seen THEN excluded.facts ELSE facts END,"
    " seen = max(seen, excluded.seen),"
    " stored = stored + excluded.stored,"
    " received = received + excluded.received,"
    " first_number = coalesce(min(first_number, excluded.first_number), first_number, excluded.first_number),"
    " last_number = coalesce(max(last_number, excluded.last_number), last_number, excluded.last_number),"
    " is_last = CASE WHEN excluded.last_number >= coalesce(last_number, 0) THEN coalesce(excluded.is_last, is_last) ELSE is_last END"
)


@frozen
class _Latest:
    """The latest report of a process that is in the file."""

    seen: float
    gauges: dict[str, Any] | None  # Any: plugin to name to number
    corrected: dict[str, int]


@define
class Processes:
    """The processes of a file, with their latest reports in memory."""

    _connection: sqlite3.Connection
    _latest: dict[str, _Latest | None] = field(init=False, factory=dict)

    def write(self, incoming: Sequence[Incoming]) -> None:
        """Write the state of the processes that sent these reports."""
        if len(self._latest) > _MOST_REMEMBERED:
            self._latest.clear()
        bulk.insert(self._connection, _INTO, [self._row(new) for new in incoming], then=_THEN)

    def _row(self, new: Incoming) -> tuple[object, ...]:
        report, instance = new.report, new.report.process.instance
        before = self._latest_of(instance)
        corrected = (Counter() if before is None else Counter(before.corrected)) + Counter(new.corrected)
        number = _number_of(report)
        transactions = sum(metrics.count for metrics in report.transactions)
        facts = {
            "process": CONVERTER.unstructure(report.process),
            "plugins": CONVERTER.unstructure(report.plugins),
            "counters": CONVERTER.unstructure(report.counters),
            "left_out": report.left_out,
            "corrected": corrected,
            "gauges": report.gauges,
            "gauges_before": _gauges_before(before, report),
            "period": report.period,
            "transactions": transactions,
        }
        if before is None or report.end >= before.seen:
            self._latest[instance] = _Latest(report.end, report.gauges, corrected)
        is_last = None if number is None else report.is_last
        return (
            instance, report.process.app, report.process.started, report.end, _encode(facts), transactions,
            int(number is not None), number, number, is_last,
        )  # fmt: skip

    def _latest_of(self, instance: str) -> _Latest | None:
        if instance not in self._latest:
            sql = "SELECT seen, json_extract(facts, '$.gauges'), json_extract(facts, '$.corrected') FROM process WHERE instance = ?"
            found = self._connection.execute(sql, (instance,)).fetchone()
            self._latest[instance] = found and _Latest(
                found[0], json.loads(found[1] or "null"), json.loads(found[2] or "{}")
            )
        return self._latest[instance]


def _number_of(report: Report) -> int | None:
    """Return the number of a report in its process; None for the id of another kind of sender."""
    instance, _, number = report.id.rpartition("-")
    if instance != report.process.instance or not (number.isascii() and number.isdigit() and len(number) < 16):
        return None
    return int(number)


def _gauges_before(before: _Latest | None, report: Report) -> dict[str, Any] | None:  # Any: a time and gauges
    """Return the gauges of the process's previous report, so that what a total grew by is known; None for its first report."""
    if before is None or before.gauges is None or before.seen >= report.end:
        return None
    return {"seen": before.seen, "gauges": before.gauges}
