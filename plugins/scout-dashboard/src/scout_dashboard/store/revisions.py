"""The revisions that the processes of an application ran, and since when. Written within a transaction that the caller opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from scout_core.measuring.report import Report
from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.ranges import Range
from scout_dashboard.store import bulk, files
from scout_dashboard.store.reader import Reader

LONGEST: Final = 100
"""Characters of a revision that are stored."""
_MOST_OF_A_DAY: Final = 500
"""Revisions that are read of one file, the latest."""


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
    Return the revisions to which an application changed in the range, oldest first; its first revision is not a change.

    An application that ran one revision after another is known from the files of the range and the last one before it.
    """
    known: dict[tuple[str, str], float] = {}
    before = reader.last_day_before("metrics", when.start)
    first = when.start if before is None else before * files.DAY
    sql = "SELECT app, name, since FROM revision ORDER BY since DESC LIMIT ?"
    for start, end in ((first, first + files.DAY), (when.start, when.end)):
        for app, name, since in reader.rows("metrics", sql, (_MOST_OF_A_DAY,), start=start, end=end):
            known[app, name] = min(known.get((app, name), since), since)
    found: list[Revision] = []
    running: set[str] = set()
    for revision in sorted(Revision(since, app, name) for (app, name), since in known.items()):
        is_shown = revision.app != PROBE_APP if when.app is None else revision.app == when.app
        if revision.app in running and is_shown and when.start <= revision.since < when.end:
            found.append(revision)
        running.add(revision.app)
    return found
