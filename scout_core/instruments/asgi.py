"""
``AsgiMiddleware``: records each HTTP request of an ASGI 3 application that it is put around by hand.

Hot code: nothing is copied, and messages are only looked at after the server has accepted them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from scout_core.first_requests import FirstRequests
from scout_core.log import Log
from scout_core.operations import WEB_PREFIX
from scout_core.recording import context
from scout_core.recording.naming import plain_name
from scout_core.recording.transaction import Transaction
from scout_core.recording.web import WebRequest, read_environ
from scout_core.running import flush

_Message = MutableMapping[str, Any]  # Any: the protocol, as below
_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[Any]]

UNNAMED: Final = f"{WEB_PREFIX}unnamed"
"""Operation of requests without a name."""
ABORTED: Final = "aborted"
"""Tag: true when the response was not sent to its end, because the client disconnected or the request was cancelled."""
_SERVER_ERROR: Final = 500

log = Log("scout_core.asgi")


class AsgiMiddleware:
    """
    An ASGI 3 application that records the HTTP requests of another one: ``app = AsgiMiddleware(app, name="Controller/shop")``.

    A request lasts until its last message has been sent: background work after that does not lengthen it. Web sockets are passed on
    unchanged. The agent is started when the application starts, or at its first request; one that is running is used.

    Args:
        app: the application.
        name: the operation, ``Controller/<name>``, or a function that is given the scope and returns it. It must not contain ids or
            whole paths. Code inside a request may rename it: ``current_transaction().rename("Controller/shop.cart")``.
        settings: options by environment variable, ``{"SCOUT_NAME": "Shop"}``; None: those of the environment and the file only.
    """

    def __init__(
        self,
        app: _App,
        *,
        name: str | Callable[[_Scope], str] = UNNAMED,
        settings: Mapping[str, Any] | None = None,  # Any: values of options
    ) -> None:
        self.app = app
        self._name = name
        self._first = FirstRequests(
            "ASGI", settings or {}, plugin="asgi", target="asgi", describer=lambda *_: None, log=log
        )

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> Any:
        """Pass a connection on to the application, and record it if it is an HTTP request."""
        kind = scope["type"]
        if kind == "websocket":
            return await self.app(scope, receive, send)
        if not self._first.is_over:
            self._first.enter(None)
        if kind == "lifespan":
            return await self.app(scope, receive, _sending_last_report(send))
        if kind != "http" or context.tracer is None:
            return await self.app(scope, receive, send)
        name = self._name
        web = Transaction(name if type(name) is str else plain_name(read_environ(name, scope) or UNNAMED))  # type: ignore[arg-type]
        web.request = read_environ(WebRequest.from_scope, scope)
        response = _Response(web.begin(), send)
        try:
            result = await self.app(scope, receive, response.send)
        except BaseException as error:
            if not isinstance(error, Exception):
                response.abort()
            web.end(error)
            raise
        if response.has_started:
            response.abort()
        web.end()
        return result


class _Response:
    """The messages of one response, as they pass."""

    __slots__ = ("_send", "_web", "has_started", "_has_trailers")

    def __init__(self, web: Transaction, send: _Send) -> None:
        self._web = web
        self._send = send
        self.has_started = self._has_trailers = False

    async def send(self, message: _Message) -> None:
        """Send a message; end the transaction after the last one."""
        try:
            await self._send(message)
        except OSError:  # ASGI 2.4: the client has disconnected
            self.abort()
            self._web.end()
            raise
        kind = message["type"]  # the server has read it, too
        if kind == "http.response.body":
            if not message.get("more_body", False) and not self._has_trailers:
                self._web.end()
        elif kind == "http.response.start":
            self.has_started = True
            self._has_trailers = message.get("trailers", False)
            if message["status"] >= _SERVER_ERROR:
                self._web.tag("error", True)
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers", False)
        ):
            self._web.end()

    def abort(self) -> None:
        """Mark a response that will not be sent to its end; nothing happens once it has been."""
        if not self._web.is_finished:
            self._web.tag(ABORTED, True)


def _sending_last_report(send: _Send) -> _Send:
    """Return a ``send`` that sends the last report when the application has shut down: the server may end without exit handlers."""

    async def send_and_report(message: _Message) -> None:
        if message.get("type") in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            try:
                await asyncio.get_running_loop().run_in_executor(None, flush)
            except RuntimeError:  # no thread can be started any more
                flush()
        await send(message)

    return send_and_report
