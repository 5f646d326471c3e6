"""One deploy: figures before and after it, by name of transactions and by group of errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import define, field

from scout_core.operations import OTHER_NAME, is_web
from scout_dashboard.queries import change
from scout_dashboard.queries.change import Sides
from scout_dashboard.queries.deploy_periods import Periods
from scout_dashboard.queries.metrics import Facts, mean_ms, milliseconds, rate
from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.error_figures import Described, described, seen
from scout_dashboard.store.error_groups import ANY_NAME
from scout_dashboard.store.periods import Errors, Figures, by_group, by_name
from scout_dashboard.store.reader import Reader

_NOTHING: Final = Figures()
_NO_TEXT: Final = Described(title="", exception="", cause="", where="", message="", trace="")
_MOST_NAMES: Final = 5
_RANKS: Final = (change.SLOWER, change.MORE, change.FASTER, change.FEWER, change.USUAL)
_Names = dict[str, Figures]


@define(kw_only=True)
class Compared:
    """The work of an application before and after a deploy, in slices."""

    app: str
    at: float
    periods: Periods
    before: list[_Names] = field(init=False)
    after: list[_Names] = field(init=False)
    whole_before: _Names = field(init=False)
    whole_after: _Names = field(init=False)
    errors_before: list[Errors] = field(init=False)
    errors_after: list[Errors] = field(init=False)

    def read(self, reader: Reader) -> None:
        """Read everything."""
        before, after = self.periods.before, self.periods.after
        self.before = [by_name(reader, self.app, *slice, durations=False) for slice in before.slices]
        self.after = [by_name(reader, self.app, *slice, durations=False) for slice in after.slices]
        self.whole_before = by_name(reader, self.app, before.start, before.end)
        self.whole_after = by_name(reader, self.app, after.start, after.end)
        self.errors_before = [by_group(reader, self.app, *slice) for slice in before.slices]
        self.errors_after = [by_group(reader, self.app, *slice) for slice in after.slices]

    def sides(self, name: str) -> Sides:
        """Return the figures of a name."""
        return Sides(
            [names.get(name, _NOTHING) for names in self.before],
            [names.get(name, _NOTHING) for names in self.after],
            self.whole_before.get(name, _NOTHING),
            self.whole_after.get(name, _NOTHING),
        )

    def sides_of_group(self, group: str) -> Sides:
        """Return the errors of a group, and as ``count`` the transactions in which they may occur."""
        names = {
            name
            for side in (self.errors_before, self.errors_after)
            for errors in side
            for name in errors.get(group, ())
        }
        before = [_of_group(group, names, *both) for both in zip(self.errors_before, self.before, strict=True)]
        after = [_of_group(group, names, *both) for both in zip(self.errors_after, self.after, strict=True)]
        return Sides.of(before, after)


def comparison(reader: Reader, *, app: str, at: float, periods: Periods, controls: Sequence[Periods]) -> Facts:
    """
    Return the rows of a deploy, those that changed first, and its groups of errors.

    Args:
        controls: the same periods on earlier days, without a deploy: what happens there, too, is not due to this one.
    """
    compared = Compared(app=app, at=at, periods=periods)
    compared.read(reader)
    names = sorted(compared.whole_before.keys() | compared.whole_after.keys())
    sides = {name: compared.sides(name) for name in names}
    groups = {group for side in (compared.errors_before, compared.errors_after) for errors in side for group in errors}
    of_groups = {group: compared.sides_of_group(group) for group in groups - {OTHER_NAME}}
    comparable = [name for name in names if sides[name].are_comparable]
    frequent = [group for group in of_groups if of_groups[group].are_comparable]
    comparisons = 4 * len(comparable) + len(frequent)
    limit = change.limit_of(comparisons)
    usual = _Usual(reader, app, controls)
    rows = [_row(name, sides[name], limit, usual) for name in names]
    new = _new_groups(reader, compared)
    more = {group for group in frequent if group not in new and change.is_more_frequent(of_groups[group], limit)}
    first = {group: at for (_, group), at in seen(reader, app).items()}
    return {
        "rows": sorted(rows, key=_worst_first),
        "states": dict(Counter(row[key] for row in rows for key in ("time", "errors"))),
        "compared": len(comparable),
        "comparisons": comparisons,
        "expected_false_alarms": change.FALSE_ALARMS,
        "new_errors": _group_rows(reader, compared, {group: first[group].first for group in new}),
        "more_errors": _group_rows(reader, compared, {group: first[group].first for group in more}),
    }


@define
class _Usual:
    """Whether a change happens on other days, too; reads them at the first question."""

    _reader: Reader
    _app: str
    _controls: Sequence[Periods]
    _days: list[tuple[_Names, _Names]] | None = None

    def has(self, name: str, state: str) -> bool:
        if self._days is None:
            self._days = [
                tuple(by_name(self._reader, self._app, period.start, period.end) for period in (day.before, day.after))  # type: ignore[misc]  # two
                for day in self._controls
            ]
        return any(
            change.is_clear_by_itself(before.get(name, _NOTHING), after.get(name, _NOTHING), state)
            for before, after in self._days
        )


def _row(name: str, sides: Sides, limit: float, usual: _Usual) -> Facts:
    before, after = sides.whole_before, sides.whole_after

    def state(find: Callable[[Sides, float], str]) -> str:
        found = find(sides, limit)
        is_change = found not in (change.TOO_FEW, change.NOT_CLEAR)
        return change.USUAL if is_change and usual.has(name, found) else found

    return {
        "name": name,
        "label": label_of(name),
        "is_web": is_web(name),
        "time": state(change.change_of_time),
        "errors": state(change.change_of_errors),
        "before": _figures(before),
        "after": _figures(after),
        "cost_ms": milliseconds((after.mean - before.mean) * after.count) if before.count and after.count else None,
    }


def _figures(of: Figures) -> Facts:
    return {
        "count": of.count,
        "mean_ms": mean_ms(of.total, of.count),
        "p95_ms": milliseconds(of.durations.quantile(0.95)),
        "errors": of.errors,
        "error_rate": rate(of.errors, of.count),
    }


def _worst_first(row: Facts) -> tuple[int, float, str]:
    """Sort by state, then by the time that the change costs, then by the number of transactions."""
    found = [rank for rank, state in enumerate(_RANKS) if state in (row["time"], row["errors"])]
    if found:
        return found[0], -abs(row["cost_ms"] or 0.0), row["name"]
    return len(_RANKS), -float(row["before"]["count"] + row["after"]["count"]), row["name"]


def _new_groups(reader: Reader, compared: Compared) -> set[str]:
    """Return the groups that were first seen after the deploy; none where all data is newer."""
    began = {app.name: app.first for app in reader.apps()}
    if began.get(compared.app, compared.at) >= compared.at:
        return set()
    until = compared.periods.after.end
    return {
        group
        for (_, group), at in seen(reader, compared.app).items()
        if compared.at <= at.first < until and group != OTHER_NAME
    }


def _group_rows(reader: Reader, compared: Compared, groups: Mapping[str, float]) -> list[Facts]:
    """Return the facts of groups, those with most errors first; ``count`` also has the minutes that are in neither period."""
    periods = compared.periods
    when = Range(start=periods.before.start, end=periods.after.end, step=60, label="", key=None, app=compared.app)
    texts = described(reader, when, groups) if groups else {}
    around = by_group(reader, compared.app, periods.before.end, periods.after.end) if groups else {}
    rows = []
    for group, first in groups.items():
        text, names = texts.get(group, _NO_TEXT), around.get(group, {})
        most = sorted((name for name in names if name != ANY_NAME), key=lambda name: (-names[name], name))
        rows.append(
            {
                "group": group,
                "title": text.title,
                "exception": text.exception,
                "cause": text.cause,
                "where": text.where,
                "message": text.message,
                "first": first,
                "count_before": sum(errors.get(group, {}).get(ANY_NAME, 0) for errors in compared.errors_before),
                "count": names.get(ANY_NAME, 0),
                "endpoints": [{"name": name, "label": label_of(name)} for name in most[:_MOST_NAMES]],
            }
        )
    return sorted(rows, key=lambda row: (-row["count"], row["title"], row["group"]))


def _of_group(group: str, names: set[str], errors: Errors, transactions: _Names) -> Figures:
    """Return the errors of a group, and the transactions of the names in which it occurs; of all where these are not known."""
    found = [transactions[name] for name in names if name in transactions] or list(transactions.values())
    return Figures(count=sum(figures.count for figures in found), errors=errors.get(group, {}).get(ANY_NAME, 0))
