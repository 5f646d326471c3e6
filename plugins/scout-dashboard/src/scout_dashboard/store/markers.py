"""Deploys that were marked by hand, with ``scout-core deploy``."""

from __future__ import annotations

import sqlite3
from typing import Final

from attrs import frozen

from scout_dashboard.store.applications import of_app
from scout_dashboard.store.reader import Reader

NEAR: Final = 600.0
"""Seconds within which the same revision of an application is the same deploy: a script may run twice, and processes start later."""
_FEWEST_DIGITS: Final = 7
"""Hexadecimal digits from which the beginning of a hash stands for it, as in git."""


@frozen(order=True)
class Marker:
    """A deploy that was marked by hand."""

    at: float
    app: str
    name: str
    """The revision, or the text that marks another event."""


def add(connection: sqlite3.Connection, marker: Marker) -> Marker:
    """Write a marker, and return it; within a transaction that the caller opened."""
    row = marker.app, marker.name, marker.at
    connection.execute("INSERT OR IGNORE INTO deploy (app, name, at) VALUES (?, ?, ?)", row)
    return marker


def markers(reader: Reader, app: str | None, start: float, end: float) -> list[Marker]:
    """Return the markers of one application, or of all, from a time to another (exclusive), oldest first."""
    where, values = of_app(app)
    sql = f"SELECT at, app, name FROM deploy WHERE {where} AND at >= ? AND at < ?"  # noqa: S608  # only constants
    return sorted(Marker(*row) for row in reader.rows("metrics", sql, (*values, start, end), start=start, end=end))


def known_as(reader: Reader, marker: Marker) -> Marker | None:
    """Return the stored marker of the same deploy; None without one."""
    found = markers(reader, marker.app, max(0.0, marker.at - NEAR), marker.at + NEAR)
    return next((known for known in found if is_same(known.name, marker.name)), None)


def is_same(name: str, other: str) -> bool:
    """Return whether two texts are the same revision; the shorter may be the beginning of the longer hash."""
    short, long = sorted((name, other), key=len)
    is_hash = len(short) >= _FEWEST_DIGITS and not long.strip("0123456789abcdef")
    return long.startswith(short) if is_hash else short == long
