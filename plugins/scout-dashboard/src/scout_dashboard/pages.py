"""The pages: each shows what ``queries`` gives for its address, which is what its JSON says."""

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
    """Every page and the files that pages need; ``app.state.queries`` must hold the queries."""
    return [
        _route("/", overview),
        _route("/endpoints", endpoints),
        _route("/jobs", jobs),
        _route("/endpoint", endpoint),
        _route("/trace/{id}", trace),
        _route("/plugins", plugins),
        _route("/health", health),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]


def overview(request: Request) -> Response:
    """``/``: how the app is, and where to look first."""
    return _shown(request, "overview.html", _queries(request).overview(_range(request)))


def endpoints(request: Request) -> Response:
    """``/endpoints``: web endpoints by time consumed."""
    return _shown(request, "endpoints.html", _queries(request).endpoints(_range(request), "web"))


def jobs(request: Request) -> Response:
    """``/jobs``: jobs by time consumed."""
    return _shown(request, "endpoints.html", _queries(request).endpoints(_range(request), "jobs"))


def endpoint(request: Request) -> Response:
    """``/endpoint?name=``: one endpoint or job, and its kept traces."""
    name = request.query_params.get("name")
    if not name:
        raise BadQuery("an endpoint needs its name; choose one from the list of endpoints")
    sort = request.query_params.get("sort", "newest")
    facts = _queries(request).endpoint(_range(request), name, sort)
    return _shown(request, "endpoint.html", facts, active=_list_of(name))


def trace(request: Request) -> Response:
    """``/trace/{id}``: one trace and why it was kept. It never changes, so it is not live."""
    facts = _queries(request).trace(request.path_params["id"], _range(request))
    by_kind = totals_by_kind(facts["summary"])
    return _shown(request, "trace.html", facts, active=_list_of(facts["trace"]["name"]), by_kind=by_kind, is_live=False)


def plugins(request: Request) -> Response:
    """``/plugins``: what each process found, wrapped, and what failed."""
    return _shown(request, "plugins.html", _queries(request).plugins(_range(request)), is_live=True)


def health(request: Request) -> Response:
    """``/health``: what became of every transaction."""
    return _shown(request, "health.html", _queries(request).health(_range(request)), is_live=True)


def message(request: Request, *, title: str, text: str, status: int, apps: Sequence[str] = ()) -> Response:
    """
    A page that says why there is no other: nothing of it needs the store.

    Args:
        apps: to go to instead of the one that was asked for.
    """
    # Any: of several types
    facts: dict[str, Any] = {"active": "", "app": None, "apps": apps, "is_live": False, "json": None}
    bare = status in (401, 403)  # nothing to go to without logging in
    without = ("app",) if apps else ()
    return render(
        request, "message.html", status=status, without=without, title=title, message=text, bare=bare, **facts
    )


def _route(path: str, page: Page) -> Route:
    """A plain function as endpoint runs in a thread, where a query may block; its errors become pages here."""

    def answer(request: Request) -> Response:
        try:
            return page(request)
        except UnknownApp as error:
            return message(request, title="No such application", text=str(error), status=404, apps=error.known)
        except NotFound as error:
            return message(request, title="Not found", text=str(error), status=404)
        except BadQuery as error:
            return message(request, title="This address makes no sense", text=str(error), status=400)

    return Route(path, answer, methods=["GET"], name=page.__name__)


def _shown(
    request: Request,
    template: str,
    facts: dict[str, Any],
    *,
    active: str | None = None,
    is_live: bool | None = None,
    **more: Any,
) -> Response:
    """Any: each page has its own facts. A page over a relative range is live, one over fixed times is not."""
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


def _list_of(name: str) -> str:
    return "/endpoints" if is_web(name) else "/jobs"
