"""How the web suite calls an application: a WSGI or an ASGI application in this process, or a server on a real socket."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from inspect import iscoroutinefunction
from threading import Thread
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from scout_core.recording.context import current_transaction

_SECONDS = 30.0
_ADDRESS = "127.0.0.1"


class Answer(NamedTuple):
    """The response to a request."""

    status: int
    """500 where an exception has left the application, which is how servers answer it."""
    headers: list[tuple[str, str]] = []
    """Without the date; names in lower case."""
    body: bytes = b""
    left_open: str = ""
    """Operation of the transaction that was still current when the application had returned; empty: none was, or it is unknown."""
    raised: str = ""
    """Class of the exception that has left the application; empty: none has, or it is unknown."""
    body_kind: str = ""
    """``list`` or ``tuple``, whose length a WSGI server can send; empty for any other body."""
    arguments: int = 0
    """Number of arguments in the last call of ``start_response``."""


class Caller(Protocol):
    """Calls an application, from many threads at once."""

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request without a body, and return the complete response."""

    def leave(self, path: str) -> None:
        """Send a GET request, and disconnect after the first part of the response."""

    def close(self) -> None:
        """End what was begun to call it."""


class WsgiCaller:
    """Calls a WSGI application as a server does."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request without a body, and return the complete response."""
        return self._send(method, path, headers or {}, parts=None)

    def leave(self, path: str) -> None:
        """Send a GET request, and close its body after the first part."""
        self._send("GET", path, {}, parts=1)

    def close(self) -> None:
        """Do nothing."""

    def _send(self, method: str, path: str, headers: Mapping[str, str], parts: int | None) -> Answer:
        started: list[Any] = []
        wrote: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], None]:
            if any(more) and wrote:
                raise more[0][1].with_traceback(more[0][2])
            started[:] = [int(status[:3]), [(name.lower(), value) for name, value in headers], 2 + len(more)]
            return wrote.append

        body: Any = ()
        try:
            try:
                body = self._app(_environ(method, path, headers), start_response)
                for number, part in enumerate(body, 1):
                    wrote.append(part)
                    if number == parts:
                        break
            finally:
                if hasattr(body, "close"):
                    body.close()
        except Exception as error:  # noqa: BLE001  # of the application: a server answers it
            return Answer(500, left_open=_still_open(), raised=type(error).__name__)
        if not started:
            return Answer(500, left_open=_still_open())
        sent = b"" if method == "HEAD" else b"".join(wrote)
        kind = type(body).__name__ if type(body) in (list, tuple) else ""
        return Answer(started[0], _kept(started[1]), sent, _still_open(), body_kind=kind, arguments=started[2])


class AsgiCaller:
    """
    Calls an ASGI application as a server does, each request in a task of its own. Startup and shutdown are announced to it.

    Args:
        version: of the specification. From 2.4 on, ``send`` raises ``OSError`` once the client has disconnected; in all versions,
            ``receive`` reports it.
    """

    def __init__(self, app: Callable[..., Any], *, version: str = "2.4") -> None:
        self._app = app
        self._version = version
        self._raises = tuple(map(int, version.split("."))) >= (2, 4)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="web suite", daemon=True)
        self._thread.start()
        self._run(self._begin())

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request without a body, and return the complete response."""
        return self._run(self._send(method, path, headers or {}, parts=None))  # type: ignore[no-any-return]  # of _send

    def leave(self, path: str) -> None:
        """Send a GET request, and disconnect after the first part of the response."""
        self._run(self._send("GET", path, {}, parts=1))

    def close(self) -> None:
        """Announce the shutdown, and end the loop."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def _run(self, awaitable: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result(_SECONDS)

    async def _begin(self) -> None:
        self._announced: asyncio.Queue[str] = asyncio.Queue()
        self._replies: asyncio.Queue[str] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}

        async def receive() -> dict[str, str]:
            return {"type": await self._announced.get()}

        async def send(message: Mapping[str, Any]) -> None:
            self._replies.put_nowait(message["type"])

        self._lifespan = asyncio.ensure_future(self._app(scope, receive, send))
        await self._announce("lifespan.startup")

    async def _announce(self, event: str) -> None:
        """Announce it, and wait until the application has dealt with it; one that does not know of it raises, and is left alone."""
        self._announced.put_nowait(event)
        answered = asyncio.ensure_future(self._replies.get())
        await asyncio.wait([answered, self._lifespan], timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()

    async def _end(self) -> None:
        if not self._lifespan.done():
            await self._announce("lifespan.shutdown")
        self._lifespan.cancel()
        await asyncio.gather(self._lifespan, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    async def _send(self, method: str, path: str, headers: Mapping[str, str], parts: int | None) -> Answer:
        found = urlsplit(path)
        pairs = [(b"host", b"localhost"), *((k.lower().encode(), v.encode()) for k, v in headers.items())]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": self._version}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote_to_bytes(found.path).decode(), "raw_path": found.path.encode(), "root_path": "",
            "query_string": found.query.encode(), "headers": pairs, "client": (_ADDRESS, 50_000), "server": ("localhost", 80),
        }  # fmt: skip
        started: list[Any] = []
        wrote: list[bytes] = []
        has_left = asyncio.Event()
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if requests:
                return requests.pop()
            await has_left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            if has_left.is_set() and self._raises and parts is not None:
                raise OSError("the client has disconnected")
            if message["type"] == "http.response.start":
                names = [(name.decode().lower(), value.decode()) for name, value in message.get("headers", ())]
                started[:] = [message["status"], names]
            elif message["type"] == "http.response.body":
                wrote.append(message.get("body", b""))
                if (parts is not None and b"".join(wrote)) or not message.get("more_body", False):
                    has_left.set()
            await asyncio.sleep(0)

        raised = ""
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # of the application: a server answers it
            raised = type(error).__name__
        if not started:
            return Answer(500, left_open=_still_open(), raised=raised)
        sent = b"" if method == "HEAD" else b"".join(wrote)
        return Answer(started[0], _kept(started[1]), sent, _still_open(), raised)


class HttpCaller:
    """
    Calls a server on a real socket.

    Args:
        url: ``http://127.0.0.1:8000``.
        on_close: ends the server.
    """

    def __init__(self, url: str, on_close: Callable[[], object] = lambda: None) -> None:
        found = urlsplit(url)
        self._address = (found.hostname or _ADDRESS, found.port or 80)
        self._on_close = on_close

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request without a body, and return the complete response."""
        connection = HTTPConnection(*self._address, timeout=_SECONDS)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            names = [(name.lower(), value) for name, value in answer.getheaders()]
            try:
                return Answer(answer.status, _kept(names), answer.read())
            except (HTTPException, OSError):  # a stream that was cut short
                return Answer(answer.status, _kept(names))
        except (HTTPException, OSError):  # some servers close the connection where the application has failed
            return Answer(500)
        finally:
            connection.close()

    def leave(self, path: str) -> None:
        """Send a GET request, and disconnect after the first bytes of the response."""
        with socket.create_connection(self._address, timeout=_SECONDS) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            client.recv(10)

    def close(self) -> None:
        """End the server."""
        self._on_close()


def is_asgi(app: object) -> bool:
    """Return whether an application is an ASGI application: calling it is ``async``."""
    return iscoroutinefunction(app) or iscoroutinefunction(getattr(type(app), "__call__", None))  # noqa: B004  # whether it is async


def _environ(method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    found = urlsplit(path)
    names = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    return {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(found.path).decode("latin-1"),
        "QUERY_STRING": found.query, "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": _ADDRESS, "HTTP_HOST": "localhost", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False, **names,
    }  # fmt: skip


def _kept(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for pair in headers if pair[0] != "date"]


def _still_open() -> str:
    web = current_transaction()
    return "" if web is None else web.operation
