"""Writes the groups of errors of reports: what is known of each, and an example. Within transactions that the caller opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import define, evolve, field

from scout_core.measuring.report import ErrorGroupMetrics, Report
from scout_core.operations import OTHER_NAME, counted_under
from scout_dashboard.store import bulk
from scout_dashboard.store.bodies import pack
from scout_dashboard.store.error_sums import ErrorSums

MOST_GROUPS: Final = 2_000
"""Groups of an application in the file of a day; further ones are counted under ``other``."""
ANY_NAME: Final = ""
"""Name of the series with all errors of a group; ``is_total`` distinguishes it."""

Key = tuple[str, int, str, str]
"""Application, whether for all names, group and name."""
_INTO: Final = (
    "INSERT INTO error_group (app, grp, first, last, title, exception, cause, place, message, trace, example)"
)
_THEN: Final = (
    "ON CONFLICT (app, grp) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last),"
    " title = excluded.title, exception = excluded.exception, cause = excluded.cause, place = excluded.place,"
    " message = CASE WHEN excluded.last >= last THEN excluded.message ELSE message END,"
    " trace = CASE WHEN excluded.trace != '' THEN excluded.trace ELSE trace END,"
    " example = coalesce(excluded.example, example)"
)


@define
class ErrorGroups:
    """The groups of a day's file while it is written."""

    _connection: sqlite3.Connection
    _known: dict[str, set[str]] = field(init=False, factory=dict)
    """Application to its groups."""

    def __attrs_post_init__(self) -> None:
        for app, group in bulk.read(self._connection, ("app", "grp"), "FROM error_group"):
            self._known.setdefault(app, set()).add(group)

    def write(self, reports: Iterable[Report]) -> list[tuple[Key, Report, ErrorSums]]:
        """Write everything but the figures of the groups, and return these: the key of a series, its report, and the numbers."""
        rows = []
        figures: list[tuple[Key, Report, ErrorSums]] = []
        for report in reports:
            for group in self._bounded(report.process.app, report.error_groups):
                rows.append(_row(report, group))
                figures += ((key, report, sums) for key, sums in _sums(report.process.app, group))
        bulk.insert(self._connection, _INTO, rows, then=_THEN)
        return figures

    def _bounded(self, app: str, groups: Sequence[ErrorGroupMetrics]) -> Iterator[ErrorGroupMetrics]:
        known = self._known.setdefault(app, set())
        for group in groups:
            key = counted_under(group.group, known, MOST_GROUPS)
            known.add(key)
            if key == group.group:
                yield group
            else:
                yield evolve(
                    group, group=key, title=key, exception="", cause="", where="", message="", trace="", example=None
                )


def _row(report: Report, group: ErrorGroupMetrics) -> tuple[object, ...]:
    # By the period that its report covers: times that cannot be right would sort a group to the wrong place for as long as it is stored.
    first, last = (min(max(time, report.start), report.end) for time in (group.first, group.last))
    is_other = group.group == OTHER_NAME
    return (
        report.process.app,
        group.group,
        first,
        max(first, last),
        OTHER_NAME if is_other else group.title,
        group.exception,
        group.cause,
        group.where,
        group.message,
        group.trace,
        None if group.example is None else pack(group.example),
    )


def _sums(app: str, group: ErrorGroupMetrics) -> Iterator[tuple[Key, ErrorSums]]:
    yield (app, 1, group.group, ANY_NAME), ErrorSums(group.count, min(group.handled, group.count))
    for name, count in group.endpoints.items():
        yield (app, 0, group.group, name), ErrorSums(count)
