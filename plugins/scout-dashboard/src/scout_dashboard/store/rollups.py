"""Reads rollups for the pages: per name for a ranking, per step for a chart."""

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

# CROSS JOIN forces this order on SQLite: first the few series, then an index lookup for each.
_JOIN = "FROM series s CROSS JOIN rollup r ON r.series = s.id WHERE s.is_total = ? AND s.is_web = ?"
_MINUTE = 60.0
_MIN_SECONDS = 10.0
"""Minimum divisor for the current step: a few calls in its first seconds do not make a rate."""
_WHEN = " AND r.level = ? AND r.start >= ? AND r.start < ?"


@define
class Ranked:
    """The metrics of one name over a whole range; histograms stay packed, because not every page needs them."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    durations: list[bytes] = Factory(list)

    def add(self, other: Ranked) -> None:
        """Add the other metrics, which remain unchanged."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.durations += other.durations


@frozen
class Coverage:
    """The part of a range that reports cover, as the base of rates. Unix times."""

    start: float
    end: float
    period: float
    """Seconds per report: everything in a report is counted in the minute of its end, even if that minute is incomplete."""

    def rate(self, count: int) -> float:
        """Return the rate per minute over the whole coverage; less than a minute counts as one."""
        return round(count * 60 / max(self.end - self.start, self.period, _MINUTE), 3)

    def rate_of_step(self, count: int, start: float, *, step: float, now: float) -> float | None:
        """Return the rate per minute in one step of a chart, possibly the current one; None without reports."""
        if not count and not self.start <= start < self.end:
            return None
        is_over = start + step <= now
        seconds = step if is_over else min(step, max(self.end - start, self.period, _MIN_SECONDS))
        return round(count * 60 / seconds, 3)


def by_name(reader: Reader, when: Range, *, web: bool) -> dict[str, Ranked]:
    """Return the metrics of each web transaction or job in the range; equal names of several applications are merged."""
    names: dict[str, Ranked] = {}
    for level, start, end in cover(when.start, when.end):
        if level < DAY:
            parts = [_ranked(reader, when.app, level, start, end, web=web)]
        else:  # the last day may be today, which changes all the time
            parts = [
                _whole_days(reader, when.app, start, end - DAY, web=web),
                _whole_days(reader, when.app, end - DAY, end, web=web),
            ]
        for part in parts:
            for name, ranked in part.items():
                names.setdefault(name, Ranked()).add(ranked)
    return names


def by_step(reader: Reader, when: Range, *, web: bool, name: str | None = None) -> dict[int, Sums]:
    """
    Return the sums of each step by its start; steps without transactions are missing.

    Args:
        name: None selects all web transactions, or all jobs.
    """
    clause, values = _filter(when.app, is_total=name is None, web=web)
    sql = f"SELECT r.start, {COLUMNS} {clause} AND s.name = ?{_WHEN}"
    values += (TOTAL_NAME if name is None else name, level_for(when.step), when.start, when.end)
    steps: dict[int, Sums] = {}
    for start, *row in reader.rows("metrics", sql, values, start=when.start, end=when.end):
        steps.setdefault(start // when.step * when.step, Sums()).add(sums_of_row(tuple(row)))
    return steps


def has_name(reader: Reader, name: str, *, app: str | None) -> bool:
    """Return whether the store contains transactions of this name at any time."""
    sql = "SELECT 1 FROM series WHERE is_total = 0 AND name = ?"
    return bool(
        reader.rows("metrics", sql, (name,))
        if app is None
        else reader.rows("metrics", f"{sql} AND app = ?", (name, app))
    )


def coverage_of(reader: Reader, when: Range) -> Coverage | None:
    """Return the part of the range in which the applications reported; None without reports."""
    apps = [app for app in reader.apps(start=when.start, end=when.end) if when.app in (None, app.name)]
    if not apps:
        return None
    start, end = max(when.start, min(app.first for app in apps)), min(when.end, max(app.last for app in apps))
    return Coverage(start, end, max(app.period for app in apps)) if start < end else None


def _whole_days(reader: Reader, app: str | None, start: int, end: int, *, web: bool) -> dict[str, Ranked]:
    """Sum complete days once and cache the result until one of them is written again."""
    if start >= end:
        return {}

    def sum_days() -> dict[str, Ranked]:
        names = _ranked(reader, app, DAY, start, end, web=web)
        for ranked in names.values():
            ranked.durations = [pack_histogram(merged_histogram(ranked.durations))]
        return names

    return reader.cached((app, web, start, end), sum_days, start=start, end=end)


def _ranked(reader: Reader, app: str | None, level: int, start: int, end: int, *, web: bool) -> dict[str, Ranked]:
    clause, values = _filter(app, is_total=False, web=web)
    sql = f"SELECT s.name, r.count, r.errors, r.total, r.durations {clause}{_WHEN}"
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
