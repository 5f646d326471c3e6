"""The queries of the dashboard: each returns JSON-ready data, which the pages render and the API returns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import evolve

from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.errors import BadQuery, UnknownApp
from scout_dashboard.queries import (
    deploy_pages,
    endpoints,
    error_groups,
    health,
    jobs,
    operations,
    overview,
    processes,
    traces,
)
from scout_dashboard.queries.apdex import Thresholds
from scout_dashboard.ranges import DEFAULT_KEY, Range, named_range
from scout_dashboard.store import Store
from scout_dashboard.tally import Tally

Facts = dict[str, Any]
"""Ready for JSON; shapes are in the README. Any: each key has its own type."""
_Value = TypeVar("_Value")


class Queries:
    """
    All queries. Thread-safe and blocking: call them from plain functions, not from coroutines.

    ``when`` is the result of ``read_range(request.query_params)``; where it is optional, it defaults to the default range.
    Each query raises ``UnknownApp`` for an application that has not reported although others have.
    """

    def __init__(self, store: Store, tally: Tally, apdex: Thresholds | None = None) -> None:
        self._store = store
        self._apdex = apdex or Thresholds()
        self._tally = tally

    def readable(self, make: Callable[[], _Value]) -> _Value:
        """Return what a function makes of queries; see ``Reader.readable``."""
        return self._store.reader.readable(make)

    def overview(self, when: Range) -> Facts:
        """Return totals, series, the most expensive endpoints, some notable traces, and files that cannot be used."""
        facts = overview.overview(self._store.reader, self._resolved(when), self._apdex)
        return self._head(when) | facts | {"damaged": health.damaged(self._store)}

    def endpoints(self, when: Range) -> Facts:
        """Return all web endpoints, ranked by time consumed."""
        return self._head(when) | endpoints.ranking(self._store.reader, self._resolved(when))

    def jobs(self, when: Range) -> Facts:
        """Return all jobs by name and queue, ranked by time consumed, all queues, and whether they keep up."""
        return self._head(when) | jobs.jobs(self._store.reader, self._resolved(when))

    def endpoint(self, when: Range, name: str, sort: str = "newest") -> Facts:
        """
        Return totals, series, kinds and kept traces of one endpoint or job.

        Args:
            name: full name, such as ``Controller/shop.home``.
            sort: order of the traces: ``newest``, ``score`` or ``duration``.

        Raises:
            NotFound: the name was never reported, or has expired.
            BadQuery: the order is unknown.
        """
        _check_sort(sort)
        return self._head(when) | endpoints.detail(
            self._store.reader, self._resolved(when), self._apdex, name=name, sort=sort
        )

    def traces(self, when: Range, *, sort: str = "newest", limit: int = 50, name: str | None = None) -> Facts:
        """
        Return the first kept traces in this order (``rows``), of one name or all, and their number (``total``).

        Args:
            limit: maximum number of rows, 1 to 10,000.

        Raises:
            BadQuery: the order or the limit is invalid.
        """
        _check_sort(sort)
        if not 1 <= limit <= traces.MAX_ROWS:
            raise BadQuery(f"invalid limit {limit}; expected 1 to {traces.MAX_ROWS}")
        return self._head(when) | traces.page(
            self._store.reader, self._resolved(when), name=name, order=sort, limit=limit
        )

    def errors(self, when: Range) -> Facts:
        """Return the groups of errors, most errors first, and those of kept traces that are in no group."""
        return self._head(when) | error_groups.errors(self._store.reader, self._resolved(when))

    def error(self, when: Range, group: str) -> Facts:
        """
        Return one group of errors: figures, names of transactions, an example, and kept traces.

        Raises:
            NotFound: the group was never reported, or has expired.
        """
        return self._head(when) | error_groups.detail(self._store.reader, self._resolved(when), group=group)

    def deploys(self, when: Range) -> Facts:
        """Return the deploys of the range, the newest first."""
        return self._head(when) | deploy_pages.listing(self._store.reader, self._resolved(when))

    def deploy(self, when: Range, revision: str, at: float) -> Facts:
        """
        Return one deploy with the figures before and after it.

        Raises:
            NotFound: there is no such deploy, or its data has expired.
        """
        return self._head(when) | deploy_pages.detail(
            self._store.reader, self._resolved(when), revision=revision, at=at
        )

    def operations(self, when: Range, *, kind: str | None = None, sort: str = "time") -> Facts:
        """
        Return the operations, and the time of each kind.

        Args:
            kind: select only this one, such as ``SQL``.
            sort: order, the largest first: ``time``, ``calls``, ``mean``, ``p95`` or ``errors``.

        Raises:
            BadQuery: the order is unknown.
        """
        _check_sort(sort, operations.SORTS)
        return self._head(when) | operations.operations(self._store.reader, self._resolved(when), kind=kind, sort=sort)

    def operation(self, when: Range, op: str) -> Facts:
        """
        Return one operation: totals, series, names of transactions, lines and kept traces.

        Raises:
            NotFound: the id was never reported, or has expired.
        """
        return self._head(when) | operations.detail(self._store.reader, self._resolved(when), op=op)

    def trace(self, trace_id: str, when: Range | None = None) -> Facts:
        """
        Return one trace with its spans, their summary, and why it was kept.

        Raises:
            NotFound: the trace was not kept, or has expired.
        """
        return self._head(when) | traces.detail(self._store.reader, trace_id)

    def plugins(self, when: Range | None = None) -> Facts:
        """Return the plugins of each process that reported in the last 24 hours, newest process first."""
        return self._head(when) | processes.plugins(self._store.reader, app=self._app(when), now=time.time())

    def health(self, when: Range | None = None) -> Facts:
        """Return how many transactions were exported, queued and dropped, and the state of collector and store."""
        return self._head(when) | health.health(self._store, self._tally, app=self._app(when), now=time.time())

    def apps(self, when: Range | None = None) -> Facts:
        """Return the stored applications as ``rows`` of ``name`` and ``seen``, most recent report first."""
        return self._head(when) | {"rows": processes.apps(self._store.reader)}

    def _resolved(self, when: Range) -> Range:
        return evolve(when, app=self._app(when))

    def _app(self, when: Range | None) -> str | None:
        apps = sorted(app.name for app in self._store.reader.apps())
        if when is None or when.app is None:
            return apps[0] if len(apps) == 1 else None
        if apps and when.app not in (*apps, PROBE_APP):  # an empty store accepts any name
            raise UnknownApp(when.app, apps)
        return when.app

    def _head(self, when: Range | None) -> Facts:
        when = when or named_range(DEFAULT_KEY)
        return {
            "range": when.facts(),
            "app": self._app(when),
            "apps": sorted(app.name for app in self._store.reader.apps()),
        }


def _check_sort(sort: str, known: Sequence[str] = traces.SORTS) -> None:
    if sort not in known:
        raise BadQuery(f"unknown sort {sort[:20]!r}; expected one of {', '.join(known)}")
