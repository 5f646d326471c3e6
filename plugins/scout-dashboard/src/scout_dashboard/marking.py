"""Marks a deploy by hand: checks it, resolves what was left out of it, and stores it."""

from __future__ import annotations

from math import isfinite
from typing import Final

from attrs import frozen

from scout_core.sending.protocol import API
from scout_dashboard.errors import BadQuery, UnknownApp
from scout_dashboard.formatting import utc
from scout_dashboard.store import Store
from scout_dashboard.store.markers import Marker
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.revisions import LONGEST

DEPLOYS: Final = f"{API}/deploys"
"""A POST marks a deploy, and a GET returns those of a range."""
_AHEAD: Final = 5.0
"""Seconds by which a time may be later than the clock here: it was read in another process."""
_MOST_NAMED: Final = 20


@frozen(kw_only=True)
class GivenMarker:
    """A deploy as a person marks it."""

    revision: str
    at: float | None = None
    """Unix time; None means now."""
    app: str | None = None
    """None selects the only application that has reported."""


@frozen(kw_only=True)
class MarkerAnswer:
    """A deploy as it is stored."""

    revision: str
    app: str
    at: float
    is_new: bool
    """False where the same deploy was marked before, at nearly the same time."""


def mark(store: Store, given: GivenMarker, *, oldest: float, now: float) -> MarkerAnswer:
    """
    Check and store a marker; it is on the disk when this returns.

    Args:
        oldest: start of the retention.

    Raises:
        BadQuery: the revision or the time is invalid, or one of several applications must be chosen.
        UnknownApp: no application of this name has reported.
        StoreError: it cannot be stored.
    """
    name, moment = _revision(given.revision), _moment(given.at, oldest=oldest, now=now)
    asked = Marker(moment, _app(store.reader, given.app), name)
    stored = store.mark(asked, now=now)
    return MarkerAnswer(revision=stored.name, app=stored.app, at=stored.at, is_new=stored is asked)


def _moment(at: float | None, *, oldest: float, now: float) -> float:
    moment = now if at is None else at
    if not isfinite(moment) or moment > now + _AHEAD:
        raise BadQuery(f"the time {utc(moment)} is in the future; a deploy is marked when it has happened")
    if moment < oldest:
        raise BadQuery(f"the time {utc(moment)} is before the retention; data is kept since {utc(oldest)}")
    return min(moment, now)


def _revision(text: str) -> str:
    name = text.strip()
    if not name:
        raise BadQuery("the SHA is empty; use the revision, such as the output of: git rev-parse HEAD")
    if not name.isprintable():
        raise BadQuery(f"the SHA {name[:LONGEST]!r} has control characters; use one line of text")
    if len(name) > LONGEST:
        raise BadQuery(f"the SHA {name[:20]!r}… has {len(name)} characters; at most {LONGEST} are stored")
    return name


def _app(reader: Reader, name: str | None) -> str:
    known = sorted(app.name for app in reader.apps())
    if not known:
        raise BadQuery("no application has reported yet, so there is nothing to mark; start the application first")
    if name is not None and name not in known:
        raise UnknownApp(name, known)
    if name is None and len(known) > 1:
        names = ", ".join(map(repr, known[:_MOST_NAMED])) + (" and others" if len(known) > _MOST_NAMED else "")
        raise BadQuery(f"several applications have reported; choose one with --app or 'app': {names}")
    return known[0] if name is None else name
