"""The JSON API: the data of every page, under ``/api/v1/``."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scout_core.sending.protocol import API, Failure
from scout_dashboard.errors import BadQuery, NotFound, StoreError
from scout_dashboard.queries.queries import Facts, Queries
from scout_dashboard.ranges import read_deploy, read_range

Answer = Callable[[Queries, Request], Facts]


def routes(prefix: str = API) -> list[Route]:
    """Return one route for each query, below this path; ``app.state.queries`` must be set."""
    answers: dict[str, Answer] = {
        "/overview": lambda queries, request: queries.overview(read_range(request.query_params)),
        "/endpoints": lambda queries, request: queries.endpoints(read_range(request.query_params)),
        "/jobs": lambda queries, request: queries.jobs(read_range(request.query_params)),
        "/endpoint": _endpoint,
        "/traces": _traces,
        "/errors": lambda queries, request: queries.errors(read_range(request.query_params)),
        "/error": _error,
        "/deploys": lambda queries, request: queries.deploys(read_range(request.query_params)),
        "/deploy": lambda queries, request: queries.deploy(
            read_range(request.query_params), *read_deploy(request.query_params)
        ),
        "/operations": _operations,
        "/operation": _operation,
        "/trace/{trace_id}": lambda queries, request: queries.trace(
            request.path_params["trace_id"], read_range(request.query_params)
        ),
        "/plugins": lambda queries, request: queries.plugins(read_range(request.query_params)),
        "/health": lambda queries, request: queries.health(read_range(request.query_params)),
        "/apps": lambda queries, request: queries.apps(read_range(request.query_params)),
    }
    return [Route(f"{prefix}{path}", _endpoint_of(answer), methods=["GET"]) for path, answer in answers.items()]


def _endpoint(queries: Queries, request: Request) -> Facts:
    name = request.query_params.get("name")
    if not name:
        raise BadQuery("missing parameter 'name'; use a name from /api/v1/endpoints or /api/v1/jobs")
    return queries.endpoint(read_range(request.query_params), name, request.query_params.get("sort", "newest"))


def _error(queries: Queries, request: Request) -> Facts:
    group = request.query_params.get("group")
    if not group:
        raise BadQuery("missing parameter 'group'; use a group from /api/v1/errors")
    return queries.error(read_range(request.query_params), group)


def _operations(queries: Queries, request: Request) -> Facts:
    query = request.query_params
    return queries.operations(read_range(query), kind=query.get("kind") or None, sort=query.get("sort", "time"))


def _operation(queries: Queries, request: Request) -> Facts:
    op = request.query_params.get("id")
    if not op:
        raise BadQuery("missing parameter 'id'; use an id from /api/v1/operations")
    return queries.operation(read_range(request.query_params), op)


def _traces(queries: Queries, request: Request) -> Facts:
    query = request.query_params
    limit = query.get("limit", "50")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 9):
        raise BadQuery(f"invalid limit {limit[:20]!r}; expected a whole number")
    when, sort = read_range(query), query.get("sort", "newest")
    return queries.traces(when, sort=sort, limit=int(limit), name=query.get("name") or None)


def _endpoint_of(answer: Answer) -> Callable[[Request], Response]:
    # Not a coroutine: Starlette runs a plain function in a thread, where it may read files.
    def respond(request: Request) -> Response:
        try:
            queries: Queries = request.app.state.queries
            return queries.readable(lambda: JSONResponse(answer(queries, request)))
        except BadQuery as error:
            return _failure(error, 400)
        except NotFound as error:
            return _failure(error, 404)
        except StoreError as error:
            return _failure(error, 503)

    return respond


def _failure(error: Exception, status: int) -> Response:
    return JSONResponse(Failure(error=str(error)).facts(), status_code=status)
