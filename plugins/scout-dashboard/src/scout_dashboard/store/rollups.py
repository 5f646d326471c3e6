"""Reads rollups for the pages: per name for a ranking, per step for a chart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attrs import Factory, define, frozen

from scout_core.measuring.histogram import Histogram
from scout_dashboard.ranges import Range
from scout_dashboard.store.applications import of_app
from scout_dashboard.store.bulk import unquoted
from scout_dashboard.store.figures import TOTAL_NAME
from scout_dashboard.store.levels import level_for
from scout_dashboard.store.packing import merged_histogram, pack_histogram
from scout_dashboard.store.reader import Reader, as_list
from scout_dashboard.store.rollup_tables import BY_NAME
from scout_dashboard.store.slices import column, figures, joined, read_parts, read_slices, real_sum, split, whole_sum
from scout_dashboard.store.sums import Sums, sums_of_row

_MINUTE = 60.0
_MIN_SECONDS = 10.0
"""Minimum divisor for the current step: a few calls in its first seconds do not make a rate."""


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

    def pack(self) -> None:
        """Make one packed histogram of all, which takes less time to add to others."""
        if len(self.durations) > 1:
            self.durations = [pack_histogram(merged_histogram(self.durations))]


@frozen
class Coverage:
    """The part of a range that reports cover, as the base of rates. Unix times."""

    start: float
    end: float
    period: float
    """Seconds per report: everything in a report is counted in the minute of its end, even if that minute is incomplete."""

    @property
    def seconds(self) -> float:
        """Its length; less than a minute counts as one."""
        return max(self.end - self.start, self.period, _MINUTE)

    def rate(self, count: int) -> float:
        """Return the rate per minute over the whole coverage."""
        return round(count * 60 / self.seconds, 3)

    def rate_of_step(self, count: int, start: float, *, step: float, now: float) -> float | None:
        """Return the rate per minute in one step of a chart, possibly the current one; None without reports."""
        if not count and not self.start <= start < self.end:
            return None
        is_over = start + step <= now
        seconds = step if is_over else min(step, max(self.end - start, self.period, _MIN_SECONDS))
        return round(count * 60 / seconds, 3)


def by_name(reader: Reader, when: Range, *, web: bool, durations: bool = True) -> dict[str, Ranked]:
    """
    Return the metrics of each web transaction or job in the range; equal names of several applications are merged.

    Args:
        durations: False leaves them empty, which is faster.
    """
    names: dict[str, Ranked] = {}
    read = partial(_ranked, reader, when.app, web=web, durations=durations)
    for part in read_parts(reader, ("names", web, durations), when, read, pack=Ranked.pack):
        for name, ranked in part.items():
            names.setdefault(name, Ranked()).add(ranked)
    return names


def durations_of(reader: Reader, when: Range, names: Sequence[str], *, web: bool) -> dict[str, Histogram]:
    """Return the durations of some names in the range."""
    where, values = _filter(when.app, is_total=False, web=web)
    where += " AND s.name IN (SELECT value FROM json_each(?))"
    found: dict[str, list[bytes]] = {name: [] for name in names}
    for name, packed in read_slices(
        reader, BY_NAME, ("s.name", column("durations", BY_NAME)),
        where=where, values=(*values, as_list(names)),
        start=when.start, end=when.end,
    ):  # fmt: skip
        found[name].append(bytes.fromhex(packed))
    return {name: merged_histogram(packed) for name, packed in found.items()}


def by_step(reader: Reader, when: Range, *, web: bool, name: str | None = None) -> dict[int, Sums]:
    """
    Return the sums of each step by its start; steps without transactions are missing.

    Args:
        name: None selects all web transactions, or all jobs.
    """
    where, values = _filter(when.app, is_total=name is None, web=web)
    rows = read_slices(
        reader, BY_NAME, ("r.start", *figures(BY_NAME)), where=f"{where} AND s.name = ?",
        values=(*values, TOTAL_NAME if name is None else name), start=when.start, end=when.end, coarsest=level_for(when.step),
    )  # fmt: skip
    steps: dict[int, Sums] = {}
    for start, *row in rows:
        sums, step = sums_of_row(unquoted(row, BY_NAME.kinds)), start // when.step * when.step
        if step in steps:
            steps[step].add(sums)
        else:
            steps[step] = sums
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


def _ranked(reader: Reader, app: str | None, start: int, end: int, *, web: bool, durations: bool) -> dict[str, Ranked]:
    where, values = _filter(app, is_total=False, web=web)
    columns = ["s.name", "sum(r.count)", "sum(r.errors)", real_sum("r.total")]
    columns.append(joined("r.durations") if durations else "''")
    names: dict[str, Ranked] = {}
    for name, count, errors, total, packed in read_slices(
        reader, BY_NAME, columns, where=where, values=values, start=start, end=end, grouped="s.id"
    ):
        ranked = names.setdefault(name, Ranked())
        ranked.count += whole_sum(count)
        ranked.errors += whole_sum(errors)
        ranked.total += float(total)
        if durations:
            ranked.durations += split(packed)
    return names


def _filter(app: str | None, *, is_total: bool, web: bool) -> tuple[str, tuple[object, ...]]:
    where, values = of_app(app, table="s.")
    return f"s.is_total = ? AND s.is_web = ? AND {where}", (is_total, web, *values)
