"""Reads groups of errors: their numbers in a range by name and by step, when each was first seen, and the kept traces with them."""

from __future__ import annotations

from collections.abc import Collection

from attrs import Factory, define, frozen

from scout_core.measuring.report import ErrorExample
from scout_dashboard.ranges import Range
from scout_dashboard.store.applications import of_app
from scout_dashboard.store.bodies import unpack
from scout_dashboard.store.error_groups import ANY_NAME
from scout_dashboard.store.error_sums import ErrorSums
from scout_dashboard.store.levels import level_for
from scout_dashboard.store.reader import Reader, as_list
from scout_dashboard.store.rollup_tables import BY_ERROR
from scout_dashboard.store.slices import read_slices, whole_sum
from scout_dashboard.store.traces import COLUMNS, TraceRow, conditions, row_of


@define
class Counted:
    """The errors of one group in a range."""

    count: int = 0
    handled: int = 0
    endpoints: dict[str, int] = Factory(dict)
    """Name of transactions to the number of errors."""


@frozen(kw_only=True)
class Described:
    """A group of errors without its numbers."""

    title: str
    exception: str
    cause: str
    where: str
    message: str
    trace: str
    """Id of a kept trace; empty: none was kept."""


@frozen
class Seen:
    """When a group was seen, as far as the store goes back. Unix times."""

    first: float
    last: float


def by_group(reader: Reader, when: Range, *, group: str | None = None, name: str | None = None) -> dict[str, Counted]:
    """
    Return the errors of each group in the range; those of several applications are merged.

    Args:
        group: select only this one.
        name: count only errors in transactions of this name; how many of these were handled is not known.
    """
    where, values = of_app(when.app, table="s.")
    for column, value in (("s.grp", group), ("s.name", name)):
        if value is not None:
            where, values = f"{where} AND {column} = ?", (*values, value)
    columns = ("s.grp", "s.name", "sum(r.count)", "sum(r.handled)")
    found: dict[str, Counted] = {}
    for key, of, errors, of_them in read_slices(
        reader, BY_ERROR, columns, where=where, values=values, start=when.start, end=when.end, grouped="s.id"
    ):
        counted = found.setdefault(key, Counted())
        count, handled = whole_sum(errors), whole_sum(of_them)
        if of == ANY_NAME:
            counted.count += count
            counted.handled += handled
        else:
            counted.endpoints[of] = counted.endpoints.get(of, 0) + count
            counted.count += count if name is not None else 0
    return found


def by_step(reader: Reader, when: Range, group: str) -> dict[int, ErrorSums]:
    """Return the errors of a group in each step of the range, by its start; steps without errors are missing."""
    where, values = of_app(when.app, table="s.")
    found: dict[int, ErrorSums] = {}
    for start, count, handled in read_slices(
        reader, BY_ERROR, ("r.start", "r.count", "r.handled"),
        where=f"{where} AND s.is_total = 1 AND s.grp = ?", values=(*values, group),
        start=when.start, end=when.end, coarsest=level_for(when.step),
    ):  # fmt: skip
        found.setdefault(start // when.step * when.step, ErrorSums()).add(ErrorSums(count, handled))
    return found


def seen(reader: Reader, app: str | None) -> dict[tuple[str, str], Seen]:
    """Return when each group of each application was seen, in all days."""
    where, values = of_app(app)
    found: dict[tuple[str, str], Seen] = {}
    sql = f"SELECT app, grp, first, last FROM error_group WHERE {where}"  # noqa: S608  # only constants
    for of, group, first, last in reader.rows("metrics", sql, values):
        known = found.get((of, group), Seen(first, last))
        found[of, group] = Seen(min(known.first, first), max(known.last, last))
    return found


def described(reader: Reader, when: Range, groups: Collection[str]) -> dict[str, Described]:
    """Return the latest facts of these groups in the days of the range."""
    where, values = of_app(when.app)
    sql = (
        "SELECT grp, title, exception, cause, place, message, trace FROM error_group"  # noqa: S608  # only constants
        f" WHERE {where} AND grp IN (SELECT value FROM json_each(?)) ORDER BY last"
    )
    rows = reader.rows("metrics", sql, (*values, as_list(list(groups))), start=when.start, end=when.end)
    found: dict[str, Described] = {}
    for group, title, exception, cause, place, message, trace in rows:  # the latest last
        known = found.get(group)
        found[group] = Described(
            title=title, exception=exception, cause=cause, where=place, message=message,
            trace=trace or (known.trace if known else ""),
        )  # fmt: skip
    return found


def latest_example(reader: Reader, when: Range, group: str) -> ErrorExample | None:
    """Return the latest example of a group until the end of the range; None without one."""
    where, values = of_app(when.app)
    sql = f"SELECT example FROM error_group WHERE {where} AND grp = ? AND example IS NOT NULL ORDER BY last"  # noqa: S608  # only constants
    rows = reader.rows("metrics", sql, (*values, group), end=when.end)
    return unpack(rows[-1][0], ErrorExample) if rows else None


def traces_with(reader: Reader, when: Range, group: str, *, limit: int) -> list[TraceRow]:
    """Return the newest kept traces of the range with an error of a group."""
    where, wanted = conditions(when)
    columns = ", ".join(f"trace.{column}" for column in COLUMNS.split(", "))
    sql = (
        f"SELECT DISTINCT {columns} FROM error CROSS JOIN trace ON trace.id = error.trace"  # noqa: S608  # only constants
        f" WHERE error.grp = ? AND {where} ORDER BY trace.start DESC LIMIT ?"
    )
    rows = reader.rows("traces", sql, (group, *wanted, limit), start=when.start, end=when.end)
    return sorted(map(row_of, rows), key=lambda row: -row.start)[:limit]
