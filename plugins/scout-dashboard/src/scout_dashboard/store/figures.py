"""Reads sums for pages: per name for a ranking, per step for a chart."""

from __future__ import annotations

from attrs import Factory, define, frozen

from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.ranges import Range
from scout_dashboard.store.files import DAY
from scout_dashboard.store.levels import cover, level_for
from scout_dashboard.store.packing import merged_histogram, pack_histogram
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.sums import COLUMNS, Sums, sums_of_row
from scout_dashboard.store.writing import TOTAL_NAME

# CROSS JOIN keeps SQLite to this order: the few series first, then a seek in the index for each.
_JOIN = "FROM series s CROSS JOIN rollup r ON r.series = s.id WHERE s.is_total = ? AND s.is_web = ?"
_MINUTE = 60.0
_LEAST_SECONDS = 10.0
"""What the running step is divided by at the least: a few calls in its first seconds are no rate."""
_WHEN = " AND r.level = ? AND r.start >= ? AND r.start < ?"


@define
class Ranked:
    """The figures of one name over a whole range; histograms still packed, as not every page needs them."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    durations: list[bytes] = Factory(list)

    def add(self, other: Ranked) -> None:
        """Add every figure of the other one, which stays as it is."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.durations += other.durations


@frozen
class Observed:
    """The time that figures per minute refer to. Unix times."""

    start: float
    end: float
    period: float
    """Seconds of a report: all it tells of is counted in the minute of its end, however short that has lasted."""

    def rate(self, count: int) -> float:
        """How many a minute, of all that were counted; what ran for a shorter time is told as of a minute."""
        return round(count * 60 / max(self.end - self.start, self.period, _MINUTE), 3)

    def rate_of_step(self, count: int, start: float, *, step: float, now: float) -> float | None:
        """How many a minute in one step of a chart, which ``now`` may not be over; None where nobody reported."""
        if not count and not self.start <= start < self.end:
            return None
        is_over = start + step <= now
        seconds = step if is_over else min(step, max(self.end - start, self.period, _LEAST_SECONDS))
        return round(count * 60 / seconds, 3)


def by_name(reader: Reader, when: Range, *, web: bool) -> dict[str, Ranked]:
    """Every web transaction's name, or every job's, that occurs in the range; same names of several applications are one."""
    names: dict[str, Ranked] = {}
    for level, start, end in cover(when.start, when.end):
        if level < DAY:
            parts = [_ranked(reader, when.app, level, start, end, web=web)]
        else:  # the last day may be today, which is written to all the time
            parts = [
                _whole_days(reader, when.app, start, end - DAY, web=web),
                _whole_days(reader, when.app, end - DAY, end, web=web),
            ]
        for part in parts:
            for name, each in part.items():
                names.setdefault(name, Ranked()).add(each)
    return names


def by_step(reader: Reader, when: Range, *, web: bool, name: str | None = None) -> dict[int, Sums]:
    """
    Start of a step to its sums; a step in which nothing ran is missing.

    Args:
        name: None for all web transactions, or all jobs.
    """
    wanted, values = _filter(when.app, is_total=name is None, web=web)
    sql = f"SELECT r.start, {COLUMNS} {wanted} AND s.name = ?{_WHEN}"
    values += (TOTAL_NAME if name is None else name, level_for(when.step), when.start, when.end)
    steps: dict[int, Sums] = {}
    for start, *row in reader.rows("metrics", sql, values, start=when.start, end=when.end):
        steps.setdefault(start // when.step * when.step, Sums()).add(sums_of_row(tuple(row)))
    return steps


def has_name(reader: Reader, name: str, *, app: str | None) -> bool:
    """Whether transactions of this name are anywhere in the store."""
    sql = "SELECT 1 FROM series WHERE is_total = 0 AND name = ?"
    return bool(
        reader.rows("metrics", sql, (name,))
        if app is None
        else reader.rows("metrics", f"{sql} AND app = ?", (name, app))
    )


def observed(reader: Reader, when: Range) -> Observed | None:
    """The part of the range in which the applications reported; None when nobody did."""
    apps = [app for app in reader.apps(start=when.start, end=when.end) if when.app in (None, app.name)]
    if not apps:
        return None
    start, end = max(when.start, min(app.first for app in apps)), min(when.end, max(app.last for app in apps))
    return Observed(start, end, max(app.period for app in apps)) if start < end else None


def _whole_days(reader: Reader, app: str | None, start: int, end: int, *, web: bool) -> dict[str, Ranked]:
    """Most days of a long range are over: they are summed once, until somebody writes to them again."""
    if start >= end:
        return {}

    def summed() -> dict[str, Ranked]:
        names = _ranked(reader, app, DAY, start, end, web=web)
        for each in names.values():
            each.durations = [pack_histogram(merged_histogram(each.durations))]
        return names

    return reader.remembered((app, web, start, end), summed, start=start, end=end)


def _ranked(reader: Reader, app: str | None, level: int, start: int, end: int, *, web: bool) -> dict[str, Ranked]:
    wanted, values = _filter(app, is_total=False, web=web)
    sql = f"SELECT s.name, r.count, r.errors, r.total, r.durations {wanted}{_WHEN}"
    names: dict[str, Ranked] = {}
    found = reader.rows("metrics", sql, (*values, level, start, end), start=start, end=end)
    for name, count, errors, total, durations in found:
        ranked = names.get(name)
        if ranked is None:
            ranked = names[name] = Ranked()
        ranked.count += count
        ranked.errors += errors
        ranked.total += total
        ranked.durations.append(durations)
    return names


def _filter(app: str | None, *, is_total: bool, web: bool) -> tuple[str, tuple[object, ...]]:
    if app is None:
        return f"{_JOIN} AND s.app != ?", (is_total, web, PROBE_APP)
    return f"{_JOIN} AND s.app = ?", (is_total, web, app)
