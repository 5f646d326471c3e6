"""Starlette and FastAPI requests as transactions: ``Controller/<module>.<endpoint>``; background tasks as jobs: ``Job/<module>.<task>``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from scout_core import Transaction, hookimpl, transaction
from scout_core.instruments.asgi import AsgiRequest, await_part, current_request, record_request
from scout_core.operations import CONTROLLER, JOB
from scout_starlette.endpoints import endpoint_name, operation_of
from scout_starlette.errors import is_answer, is_disconnect

if TYPE_CHECKING:
    from starlette.background import BackgroundTask
    from starlette.routing import Mount, Route, WebSocketRoute

    from scout_core import Wrap


@frozen
class StarletteOptions:
    """Options of the plugin."""

    web_sockets: bool = field(
        default=False, metadata={"help": "record each connection of a web socket as a transaction"}
    )


@hookimpl
def register_options() -> type[StarletteOptions]:
    """Declare the options."""
    return StarletteOptions


@hookimpl
def instrument(wrap: Wrap, options: StarletteOptions) -> None:
    """Record every request of every application, and name it where a route answers it."""
    # The messages of the response are seen as they pass, so describing the call is not enough. The outermost middleware of every
    # application is wrapped, not its `__call__`: uvicorn calls that without arguments, and takes what raises no TypeError for a factory.
    wrap.around("starlette.middleware.errors:ServerErrorMiddleware.__call__", partial(call, options.web_sockets))
    wrap("starlette.routing:Mount.handle", mounted)
    wrap("starlette.routing:Route.handle", routed)
    # FastAPI >= 0.137 answers requests for included routers without calling the method of Starlette's route.
    wrap("fastapi.routing:APIRoute.handle", routed, optional=True)
    wrap("starlette.background:BackgroundTask.__call__", background, root=True)
    wrap("starlette._exception_handler:_lookup_exception_handler", handled)
    wrap.around("starlette.responses:StreamingResponse.stream_response", streamed)
    if options.web_sockets:
        wrap("starlette.routing:WebSocketRoute.handle", connected)


def call(
    sockets: bool, wrapped: Callable[..., Any], outermost: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Coroutine[Any, Any, Any]:
    """Call an application; one that is mounted in another is called for the same request, which is recorded once."""
    return record_request(wrapped, *args, needs_name=True, is_disconnect=is_disconnect, sockets=sockets, **kwargs)


def mounted(mount: Mount, scope: Any, receive: object, send: object) -> None:
    """Add the path of a mount to the template; an application without routes, such as ``StaticFiles``, names the request."""
    request = current_request()
    if request is not None and not request.is_named:
        request.prefix += mount.path
        if not mount.routes:
            _name(request, CONTROLLER, mount.app, request.prefix)


def routed(route: Route, scope: Any, receive: object, send: object) -> None:
    """Name a request after the endpoint of its route; decline a 405, for which no endpoint is called."""
    request = current_request()
    if request is not None and not request.is_named:
        included: Any = scope.get("fastapi")  # FastAPI >= 0.137: the route as it is with the prefixes of its routers
        if included is None:
            found: Any = route
        else:
            included = included.get("effective_route_context")
            found = (included and (included.starlette_route or included)) or route
        methods = found.methods
        if not methods or scope["method"] in methods:
            _name(request, CONTROLLER, route.endpoint, request.prefix + found.path if request.prefix else found.path)


def connected(route: WebSocketRoute, scope: Any, receive: object, send: object) -> None:
    """Name a web socket after the endpoint of its route."""
    request = current_request()
    if request is not None and not request.is_named:
        _name(request, "WebSocket", route.endpoint, request.prefix + route.path)


def _name(request: AsgiRequest, kind: str, endpoint: object, template: str) -> None:
    request.name(operation_of(kind, endpoint, template))
    if "{" in template:  # otherwise it is the path
        request.transaction.tag("route", template)


def background(task: BackgroundTask) -> Transaction:
    """Describe a background task, a job of its own which names the request that started it."""
    operation = f"{JOB}/{endpoint_name(task.func)}"
    request = current_request()
    return transaction(operation).detach() if request is None else request.job(operation)


def streamed(
    wrapped: Callable[..., Any], response: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Coroutine[Any, Any, Any]:
    """Record an exception of a stream where it is raised: ``BaseHTTPMiddleware`` raises it again only after the last message."""
    return await_part(wrapped, *args, **kwargs)


def handled(handlers: object, error: Exception) -> Generator[None, object, None]:
    """Record an exception for which the application has a handler; one without is raised again, and leaves the request."""
    handler = yield
    request = current_request()
    if handler is not None and request is not None and not is_answer(error) and not is_disconnect(error):
        request.transaction.record_error(error)
