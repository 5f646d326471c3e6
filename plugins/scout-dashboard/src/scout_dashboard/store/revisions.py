"""The revisions that the processes of an application ran, and since when. Written within a transaction that the caller opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from scout_core.measuring.report import Report
from scout_dashboard.ranges import Range
from scout_dashboard.store import bulk, files
from scout_dashboard.store.applications import of_app
from scout_dashboard.store.reader import Reader

LONGEST: Final = 100
"""Characters of a revision that are stored."""
_MOST_OF_A_DAY: Final = 2_000
"""Revisions of an application that are read of one file, the earliest."""


@frozen(order=True)
class Revision:
    """A revision of an application."""

    since: float
    """When the first of its processes started, as far as data is kept."""
    app: str
    name: str


def write(connection: sqlite3.Connection, reports: Iterable[Report]) -> None:
    """Write the revisions of the processes that sent these reports."""
    since: dict[tuple[str, str], float] = {}
    for report in reports:
        process = report.process
        if process.revision:
            key = process.app, process.revision[:LONGEST]
            since[key] = min(since.get(key, process.started), process.started)
    rows = [(app, revision, started) for (app, revision), started in since.items()]
    then = "ON CONFLICT (app, name) DO UPDATE SET since = min(since, excluded.since)"
    bulk.insert(connection, "INSERT INTO revision (app, name, since)", rows, then=then)


def changes(reader: Reader, when: Range) -> list[Revision]:
    """
    Return the revisions that an application ran for the first time in the range, oldest first; the first one of all is not a change.

    Each is compared with all that is kept, but earlier days are only read where a process has started in the range.
    """
    # The first report of a process that started just before midnight is in the file of the next day.
    first = files.day_of(when.start) * files.DAY
    known = _since(reader, when.app, first, when.end + files.DAY)
    if any(when.start <= since < when.end for since in known.values()):
        for key, since in _since(reader, when.app, 0, first).items():
            known[key] = min(known.get(key, since), since)
    found: list[Revision] = []
    running: set[str] = set()
    for revision in sorted(Revision(since, app, name) for (app, name), since in known.items()):
        if revision.app in running and when.start <= revision.since < when.end:
            found.append(revision)
        running.add(revision.app)
    return found


def _since(reader: Reader, of: str | None, start: float, end: float) -> dict[tuple[str, str], float]:
    """Return each application and revision in the files of a range, and since when it runs, as far as they show."""
    where, values = of_app(of)
    sql = f"""
        SELECT app, name, since FROM
        (SELECT *, row_number() OVER (PARTITION BY app ORDER BY since) AS number FROM revision WHERE {where})
        WHERE number <= ?
    """  # noqa: S608  # only constants and placeholders
    found: dict[tuple[str, str], float] = {}
    for app, name, since in reader.rows("metrics", sql, (*values, _MOST_OF_A_DAY), start=start, end=end):
        found[app, name] = min(found.get((app, name), since), since)
    return found
