"""The pages: each renders the answer of a query, which the JSON API returns as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from scout_core.operations import is_web
from scout_dashboard.errors import BadQuery, NotFound, UnknownApp
from scout_dashboard.queries import Queries
from scout_dashboard.ranges import Range, read_range
from scout_dashboard.views.palette import totals_by_kind
from scout_dashboard.views.rendering import render

Page = Callable[[Request], Response]
STATIC: Final = Path(__file__).parent / "static"


def routes() -> list[BaseRoute]:
    """Return the routes of all pages and static files; ``app.state.queries`` must be set."""
    return [
        _route("/", overview),
        _route("/endpoints", endpoints),
        _route("/jobs", jobs),
        _route("/endpoint", endpoint),
        _route("/errors", errors),
        _route("/trace/{id}", trace),
        _route("/plugins", plugins),
        _route("/health", health),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]


def overview(request: Request) -> Response:
    """``/``: the state of the application, and where to start."""
    return _render(request, "overview.html", _queries(request).overview(_range(request)))


def endpoints(request: Request) -> Response:
    """``/endpoints``: web endpoints by time consumed."""
    return _render(request, "endpoints.html", _queries(request).endpoints(_range(request), "web"))


def jobs(request: Request) -> Response:
    """``/jobs``: jobs by time consumed."""
    return _render(request, "endpoints.html", _queries(request).endpoints(_range(request), "jobs"))


def endpoint(request: Request) -> Response:
    """``/endpoint?name=``: one endpoint or job, and its kept traces."""
    name = request.query_params.get("name")
    if not name:
        raise BadQuery("missing parameter 'name'; choose an endpoint from the list")
    sort = request.query_params.get("sort", "newest")
    facts = _queries(request).endpoint(_range(request), name, sort)
    return _render(request, "endpoint.html", facts, active=_list_path(name))


def errors(request: Request) -> Response:
    """``/errors``: the errors of kept traces, by exception and place."""
    return _render(request, "errors.html", _queries(request).errors(_range(request)))


def trace(request: Request) -> Response:
    """``/trace/{id}``: one trace and why it was kept. Not live, because a trace never changes."""
    facts = _queries(request).trace(request.path_params["id"], _range(request))
    by_kind = totals_by_kind(facts["summary"])
    return _render(
        request, "trace.html", facts, active=_list_path(facts["trace"]["name"]), by_kind=by_kind, is_live=False
    )


def plugins(request: Request) -> Response:
    """``/plugins``: the plugins of each process, their targets and their errors."""
    return _render(request, "plugins.html", _queries(request).plugins(_range(request)), is_live=True)


def health(request: Request) -> Response:
    """``/health``: how many transactions were exported, queued and dropped."""
    return _render(request, "health.html", _queries(request).health(_range(request)), is_live=True)


def message_page(request: Request, *, title: str, text: str, status: int, apps: Sequence[str] = ()) -> Response:
    """
    Return an error page, which works without the store.

    Args:
        apps: applications to offer instead of an unknown one.
    """
    # Any: values of several types
    facts: dict[str, Any] = {"active": "", "app": None, "apps": apps, "is_live": False, "json": None}
    bare = status in (401, 403)  # no navigation without a login
    without = ("app",) if apps else ()
    return render(
        request, "message.html", status=status, without=without, title=title, message=text, bare=bare, **facts
    )


def _route(path: str, page: Page) -> Route:
    """Route a page through a plain function, which runs in a thread where a query may block; render errors as pages."""

    def answer(request: Request) -> Response:
        try:
            return page(request)
        except UnknownApp as error:
            return message_page(request, title="Unknown application", text=str(error), status=404, apps=error.known)
        except NotFound as error:
            return message_page(request, title="Not found", text=str(error), status=404)
        except BadQuery as error:
            return message_page(request, title="Invalid address", text=str(error), status=400)

    return Route(path, answer, methods=["GET"], name=page.__name__)


def _render(
    request: Request,
    template: str,
    facts: dict[str, Any],
    *,
    active: str | None = None,
    is_live: bool | None = None,
    **more: Any,
) -> Response:
    """Render a page (Any: each has its own facts). A relative range is live, a fixed one is not."""
    return render(
        request,
        template,
        **facts,
        **more,
        active=active or request.url.path,
        is_live=facts["range"]["key"] is not None if is_live is None else is_live,
        json=request.url.path,
    )


def _queries(request: Request) -> Queries:
    queries: Queries = request.app.state.queries
    return queries


def _range(request: Request) -> Range:
    return read_range(request.query_params)


def _list_path(name: str) -> str:
    return "/endpoints" if is_web(name) else "/jobs"
