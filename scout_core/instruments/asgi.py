"""
HTTP requests of ASGI 3 applications as transactions: by hand with ``AsgiMiddleware``, in plugins with ``record_request``.

Hot code: see ``asgi_request.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from scout_core.instruments.asgi_request import ABORTED as ABORTED
from scout_core.instruments.asgi_request import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    request_around,
)
from scout_core.instruments.asgi_request import AsgiRequest as AsgiRequest
from scout_core.instruments.middleware import Middleware, name_for
from scout_core.instruments.statuses import NO_RESPONSE as NO_RESPONSE
from scout_core.log import Log
from scout_core.operations import UNNAMED as UNNAMED
from scout_core.recording import context
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest, read_environ
from scout_core.running import flush

log = Log("scout_core.asgi")

UNNAMED_SOCKET: Final = "WebSocket/unnamed"
"""Operation of web sockets without a name."""


class _Unread:
    """The facts of a request whose headers are only read if something asks for them."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Mapping[str, Any]) -> None:  # Any: as above
        self._scope = scope

    @property
    def path(self) -> str:
        """As of ``WebRequest``."""
        return self._scope.get("path", "")  # type: ignore[no-any-return]  # a text

    def __getattr__(self, name: str) -> Any:  # Any: whatever the facts have
        return getattr(WebRequest.from_scope(self._scope), name)


class AsgiMiddleware(Middleware[App, Scope]):
    """
    An ASGI 3 application that records the HTTP requests of another one: ``app = AsgiMiddleware(app, name="Controller/shop")``.

    A request lasts until its last message has been sent: background work after that does not lengthen it. Web sockets are passed on
    unchanged. The agent is started when the application starts, if not at its first request. ``Middleware`` has the arguments.
    """

    _protocol = "ASGI"
    _log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Pass a connection on to the application, and record it if it is an HTTP request."""
        if not self._first.is_over and scope.get("type") != "websocket":
            self._first.enter()
        return await record_request(self.app, scope, receive, send, name=self._name)


async def record_request(
    app: App,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    name: str | Callable[[Scope], str] = UNNAMED,
    needs_name: bool = False,
    is_disconnect: Callable[[BaseException], bool] | None = None,
    sockets: bool = False,
) -> Any:
    """
    Call an ASGI application for one connection, and record the connection if it is an HTTP request: for plugins of frameworks.

    The application gets the same scope, and the same messages. It may be called inside another call for the same request, as where
    applications are mounted in each other: then nothing is recorded twice. At the end of the lifespan, the last report is sent. Every
    exception of the application passes.

    Args:
        name: as for ``AsgiMiddleware``. A plugin leaves it out, and calls ``current_request().name(…)`` once a route is found.
        needs_name: ignore a request that nothing has named by its end, such as one for an unknown path, unless it failed.
        is_disconnect: whether an exception that leaves the application only reports that the client has disconnected.
        sockets: record web sockets, too: each connection is a transaction ``WebSocket/<name>``.

    Returns:
        The result of the application.
    """
    kind = scope.get("type")
    if kind == "lifespan":
        return await app(scope, receive, _sending_last_report(send))
    is_socket = kind == "websocket"
    tracer = context.tracer
    if tracer is None or not (kind == "http" or (is_socket and sockets)):
        return await app(scope, receive, send)
    before = context.current.get()
    is_named = name is not UNNAMED
    if before is not None:
        outer = request_around(before)
        if outer is not None and outer.is_of(scope):
            if is_named and not outer.is_named:
                outer.transaction.rename(name_for(name, scope))
            return await app(scope, receive, send)
    operation = UNNAMED_SOCKET if is_socket and not is_named else name if type(name) is str else name_for(name, scope)
    web = Transaction(operation)
    web.served = scope
    if tracer.on_request_start:  # such a hook may ignore the request: then its headers are not read
        web.own_request = _Unread(scope)  # type: ignore[assignment]  # it has the same attributes
    web.__enter__()  # not `begin`: what follows ends it in any case
    inside = web.transaction
    if inside is None or inside.ignored is not None:
        # The application runs inside it, so that nothing in it is recorded.
        if tracer.wants_ignored:
            web.own_request = read_environ(WebRequest.from_scope, scope)
        try:
            return await app(scope, receive, send)
        finally:
            web.__exit__(None, None, None)
    web.own_request = read_environ(WebRequest.from_scope, scope)
    web.recorder = request = AsgiRequest(web, scope, receive, send, needs_name, is_disconnect)
    try:
        if is_socket:
            result = await app(scope, receive, send)
        else:
            result = await app(scope, request.receive, request.send)
    except BaseException as error:
        try:
            request.close(error)
        finally:
            context.current.set(before)
        raise
    try:
        request.close(None, has_response=not is_socket)
    finally:
        context.current.set(before)
    return result


def current_request() -> AsgiRequest | None:
    """
    Return the request that this thread or task works for, also after its last message, until its application returns.

    None where ``record_request`` and ``AsgiMiddleware`` record none.
    """
    innermost = context.current.get()
    return None if innermost is None else request_around(innermost)


async def await_part(
    call: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
) -> Any:  # Any: whatever the framework passes and gets
    """
    Await a part of a request, such as its stream: an exception that leaves it makes the request fail at once.

    For a framework that ends the response before it raises the exception further: it would be one of the job after the response.
    """
    try:
        return await call(*args, **kwargs)
    except Exception as error:
        request = current_request()
        if request is not None and not request.is_from_client(error):
            request.transaction.record_error(error, handled=False)
        raise


def _sending_last_report(send: Send) -> Send:
    """Return a ``send`` that sends the last report when the application has shut down: the server may end without exit handlers."""

    async def send_and_report(message: Message) -> None:
        if message.get("type") in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            import asyncio  # the server has imported it; not at the top, because plugins import this module at start

            try:
                await asyncio.get_running_loop().run_in_executor(None, flush)
            except RuntimeError:  # no thread can be started any more
                flush()
        await send(message)

    return send_and_report
