"""Prepares the pages while nobody waits for them: after a start, the first page would compile its templates and open its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from time import thread_time
from types import SimpleNamespace
from typing import Final

from starlette.requests import Request

from scout_dashboard import pages
from scout_dashboard.queries import Queries
from scout_dashboard.views.rendering import environment

_PAGES: Final = (
    pages.overview,
    pages.endpoints,
    pages.jobs,
    pages.errors,
    pages.operations,
    pages.health,
    pages.plugins,
)
"""In the order in which they are likely to be needed; what they share is prepared with the first."""
_LONG_PAGES: Final = (pages.overview, pages.endpoints, pages.jobs, pages.errors)
"""Those whose figures of days that are over are summed up once; see ``read_parts``."""
_LONG_RANGES: Final = ("24h", "7d")
_DELAY_SECONDS: Final = 0.3
"""Time for a reader who waits for the start: both would compile the same templates."""
_STOP_SECONDS: Final = 1.0
"""Time for the page that is being prepared when the collector stops."""


@contextmanager
def warming(queries: Queries) -> Iterator[Thread]:
    """
    Prepare the pages on a thread of its own, until it is done or the ``with`` block ends.

    It takes at most half of the time, so that a reader who is there already hardly waits for it. The default range comes first, then
    the longest ones that the pages offer. A month would fill 55 MB of SQLite's cache, for readers who may never come.
    """
    is_over = Event()

    def warm() -> None:
        is_over.wait(_DELAY_SECONDS)
        for step in _steps(queries):
            if is_over.is_set():
                return
            began = thread_time()
            with suppress(Exception):  # such as a file that cannot be read: the page that needs it will show that
                step()
            is_over.wait(thread_time() - began)

    thread = Thread(target=warm, name="scout-dashboard-warming", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        is_over.set()
        thread.join(_STOP_SECONDS)


def _steps(queries: Queries) -> Iterator[Callable[[], object]]:
    for shared in ("parts.html", "base.html"):
        yield partial(environment().get_template, shared)
    for page in _PAGES:
        yield partial(queries.readable, partial(page, _request(queries)))
    for other in environment().list_templates():
        yield partial(environment().get_template, other)
    for key in _LONG_RANGES:
        for page in _LONG_PAGES:
            yield partial(queries.readable, partial(page, _request(queries, f"range={key}")))


def _request(queries: Queries, query: str = "") -> Request:
    app = SimpleNamespace(state=SimpleNamespace(queries=queries))
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": query.encode(),
            "headers": (),
            "state": {"base": ""},
            "app": app,
        }
    )
