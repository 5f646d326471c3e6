"""The answers themselves, as plain structures of texts, numbers, lists and dicts: pages and the JSON API show the same."""

from __future__ import annotations

import time
from typing import Any, Literal

from attrs import evolve

from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.errors import BadQuery, UnknownApp
from scout_dashboard.queries import endpoints, overview, processes, traces
from scout_dashboard.ranges import DEFAULT_KEY, Range, named_range
from scout_dashboard.store import Store
from scout_dashboard.tally import Tally

Facts = dict[str, Any]
"""Ready for JSON; the plugin's README tells the shapes. Any: each key has its own."""

Of = Literal["web", "jobs"]


class Queries:
    """
    Everything that can be asked; safe to call from any thread, and blocking: call it from plain functions, not coroutines.

    ``when`` is what ``read_range(request.query_params)`` gives. Where it may be left out, it is the default range.
    Each raises ``UnknownApp`` when it is of an application that has not reported, though others have.
    """

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally

    def overview(self, when: Range) -> Facts:
        """Totals, series, the endpoints that cost most and some traces worth a look."""
        return self._head(when) | overview.overview(self._store.reader, self._resolved(when))

    def endpoints(self, when: Range, of: Of = "web") -> Facts:
        """Every web endpoint, or every job, ranked by time consumed."""
        return self._head(when) | endpoints.ranked(self._store.reader, self._resolved(when), of=of)

    def endpoint(self, when: Range, name: str, sort: str = "newest") -> Facts:
        """
        One endpoint or job: totals, series, kinds, kept traces.

        Args:
            name: as in the rows: ``Controller/shop.home``.
            sort: of the traces: ``newest``, ``score`` or ``duration``.

        Raises:
            NotFound: no such name was ever reported.
            BadQuery: the sort is not known.
        """
        _check_sort(sort)
        return self._head(when) | endpoints.one(self._store.reader, self._resolved(when), name=name, sort=sort)

    def traces(self, when: Range, *, sort: str = "newest", limit: int = 50, name: str | None = None) -> Facts:
        """
        The first kept traces in this order, of one name or of all: ``rows``, and as ``total`` how many there are.

        Args:
            limit: at most this many rows, 1 to 10,000.

        Raises:
            BadQuery: the sort is not known, or the limit is none.
        """
        _check_sort(sort)
        if not 1 <= limit <= traces.MOST:
            raise BadQuery(f"limit must be 1 to {traces.MOST}")
        return self._head(when) | traces.listed(
            self._store.reader, self._resolved(when), name=name, order=sort, limit=limit
        )

    def trace(self, trace_id: str, when: Range | None = None) -> Facts:
        """
        One trace with its spans, their summary, and why it was kept.

        Raises:
            NotFound: no such trace is stored, or not any more.
        """
        return self._head(when) | traces.one(self._store.reader, trace_id)

    def plugins(self, when: Range | None = None) -> Facts:
        """The plugins of every process that reported in the last 24 hours, newest process first."""
        return self._head(when) | processes.plugins(self._store.reader, app=self._app(when), now=time.time())

    def health(self, when: Range | None = None) -> Facts:
        """What became of every transaction, what the collector received, and where it is kept."""
        return self._head(when) | processes.health(self._store, self._tally, app=self._app(when), now=time.time())

    def apps(self, when: Range | None = None) -> Facts:
        """Every application that is in the store, last seen first: ``rows`` of ``name`` and ``seen``."""
        return self._head(when) | {"rows": processes.apps(self._store.reader)}

    def _resolved(self, when: Range) -> Range:
        return evolve(when, app=self._app(when))

    def _app(self, when: Range | None) -> str | None:
        apps = sorted(app.name for app in self._store.reader.apps())
        if when is None or when.app is None:
            return apps[0] if len(apps) == 1 else None
        if apps and when.app not in (*apps, PROBE_APP):  # an empty store waits for everybody
            raise UnknownApp(when.app, apps)
        return when.app

    def _head(self, when: Range | None) -> Facts:
        when = when or named_range(DEFAULT_KEY)
        return {
            "range": when.facts(),
            "app": self._app(when),
            "apps": sorted(app.name for app in self._store.reader.apps()),
        }


def _check_sort(sort: str) -> None:
    if sort not in traces.SORTS:
        raise BadQuery(f"sort {sort[:20]!r} is not known; use one of {', '.join(traces.SORTS)}")
