"""The pages: each renders the answer of a query, which the JSON API returns as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from scout_core.operations import is_web
from scout_dashboard.errors import BadQuery, NotFound, UnknownApp
from scout_dashboard.queries import Queries
from scout_dashboard.ranges import Range, read_deploy, read_range
from scout_dashboard.views.links import STATIC, path_of
from scout_dashboard.views.palette import totals_by_kind
from scout_dashboard.views.rendering import render

Page = Callable[[Request], Response]
_FILES: Final = Path(__file__).parent / "static"


def routes() -> list[BaseRoute]:
    """Return the routes of all pages and static files; ``app.state.queries`` must be set."""
    return [
        _route("/", overview),
        _route("/endpoints", endpoints),
        _route("/jobs", jobs),
        _route("/endpoint", endpoint),
        _route("/errors", errors),
        _route("/error", error),
        _route("/deploys", deploys),
        _route("/deploy", deploy),
        _route("/operations", operations),
        _route("/operation", operation),
        _route("/trace/{id}", trace),
        _route("/plugins", plugins),
        _route("/health", health),
        Mount(STATIC.rstrip("/"), _StaticFiles(directory=_FILES), name="static"),
    ]


def overview(request: Request) -> Response:
    """``/``: the state of the application, and where to start."""
    return _render(request, "overview.html", _queries(request).overview(_range(request)))


def endpoints(request: Request) -> Response:
    """``/endpoints``: web endpoints by time consumed."""
    return _render(request, "endpoints.html", _queries(request).endpoints(_range(request)))


def jobs(request: Request) -> Response:
    """``/jobs``: whether the workers keep up, and all jobs by queue."""
    return _render(request, "jobs.html", _queries(request).jobs(_range(request)))


def endpoint(request: Request) -> Response:
    """``/endpoint?name=``: one endpoint or job, and its kept traces."""
    name = request.query_params.get("name")
    if not name:
        raise BadQuery("missing parameter 'name'; choose an endpoint from the list")
    sort = request.query_params.get("sort", "newest")
    facts = _queries(request).endpoint(_range(request), name, sort)
    return _render(request, "endpoint.html", facts, active=_list_path(name))


def errors(request: Request) -> Response:
    """``/errors``: the groups of errors, most errors first."""
    return _render(request, "errors.html", _queries(request).errors(_range(request)))


def error(request: Request) -> Response:
    """``/error?group=``: one group of errors, with an example."""
    group = request.query_params.get("group")
    if not group:
        raise BadQuery("missing parameter 'group'; choose an error from the list")
    return _render(request, "error.html", _queries(request).error(_range(request), group), active="/errors")


def deploys(request: Request) -> Response:
    """``/deploys``: the deploys of the range."""
    return _render(request, "deploys.html", _queries(request).deploys(_range(request)), active="/")


def deploy(request: Request) -> Response:
    """``/deploy?revision=&at=``: figures before and after a deploy. Not live, as few minutes change little."""
    facts = _queries(request).deploy(_range(request), *read_deploy(request.query_params))
    return _render(request, "deploy.html", facts, active="/", is_live=False)


def operations(request: Request) -> Response:
    """``/operations``: statements, hosts and templates by time consumed."""
    query = request.query_params
    facts = _queries(request).operations(
        _range(request), kind=query.get("kind") or None, sort=query.get("sort", "time")
    )
    return _render(request, "operations.html", facts)


def operation(request: Request) -> Response:
    """``/operation?id=``: one operation, with the endpoints and lines that call it."""
    op = request.query_params.get("id")
    if not op:
        raise BadQuery("missing parameter 'id'; choose an operation from the list")
    return _render(request, "operation.html", _queries(request).operation(_range(request), op), active="/operations")


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


def message_page(
    request: Request,
    *,
    title: str,
    text: str,
    status: int,
    apps: Sequence[str] = (),
    command: str = "",
    is_bare: bool = False,
) -> Response:
    """
    Return a page with a message, usually an error; it works without the store.

    Args:
        apps: applications to offer instead of an unknown one.
        command: to run as the next step.
        is_bare: without navigation, for a reader who is not logged in.
    """
    without = ("app",) if apps else ()
    return page_without_data(
        request,
        "message.html",
        status=status,
        without=without,
        title=title,
        message=text,
        apps=apps,
        command=command,
        bare=is_bare,
    )


def page_without_data(request: Request, template: str, *, status: int = 200, **facts: Any) -> Response:
    """Render a page that shows nothing of the store (Any: each has its own facts)."""
    common = {"active": "", "app": None, "apps": (), "is_live": False, "json": None}
    return render(request, template, status=status, **{**common, **facts})


class _StaticFiles(StaticFiles):
    """Files at their own addresses only: not at ``/static/main.js/`` or ``/static//main.js``."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if not scope["path"].endswith(f"/static/{path}"):
            raise HTTPException(404)
        return await super().get_response(path, scope)


def _route(path: str, page: Page) -> Route:
    """Route a page through a plain function, which runs in a thread where a query may block; render errors as pages."""

    def answer(request: Request) -> Response:
        try:
            return _queries(request).readable(lambda: page(request))
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
        active=active or path_of(request),
        is_live=facts["range"]["key"] is not None if is_live is None else is_live,
        json=path_of(request),
    )


def _queries(request: Request) -> Queries:
    queries: Queries = request.app.state.queries
    return queries


def _range(request: Request) -> Range:
    return read_range(request.query_params)


def _list_path(name: str) -> str:
    return "/endpoints" if is_web(name) else "/jobs"
