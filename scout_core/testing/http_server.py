"""The server that the suite for HTTP clients calls: real sockets on 127.0.0.1, in a thread of this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any, Final

from attrs import frozen

from scout_core.recording.trace.context import TRACEPARENT, TRACESTATE

LONGEST: Final = 30.0
"""Seconds that the server waits for a test."""
FIRST, LAST = b"first", b"last"
"""The two parts of ``/stream``."""
REPORTS: Final = "/api/v1/reports"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_STATUSES: Final = {"/missing": 404, "/broken": 500, "/moved": 302, REPORTS: 202}


@frozen
class Request:
    """A request that has arrived."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for found, value in self.headers if found.lower() == name]

    @property
    def parents(self) -> list[str]:
        """The values of ``traceparent``."""
        return self.values(TRACEPARENT)

    def without_trace(self) -> tuple[str, str, list[tuple[str, str]]]:
        """Return everything but the headers of the trace."""
        kept = [pair for pair in self.headers if pair[0].lower() not in (TRACEPARENT, TRACESTATE)]
        return self.method, self.path, kept


class HttpServer(ThreadingHTTPServer):
    """
    The server.

    ``/moved`` redirects to ``/item``; ``/missing`` and ``/broken`` return 404 and 500; ``/busy/…`` returns 503 to the first request
    for each path. ``/stream`` sends a part, and the last one when ``gate`` is set; ``/cut`` sends a part and closes the connection.
    Requests for ``/together/…`` are answered when ``together`` of them have arrived. All other paths return 200.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.changed = Condition()
        self.requests: list[Request] = []
        self.gate = Event()
        self.together = 1
        self.address = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.address}"

    def handle_error(self, request: Any, client_address: Any) -> None:  # Any: a socket and its address
        """Print nothing: clients close connections."""

    def count(self, start: str) -> int:
        """Return how many requests for paths with this beginning have arrived."""
        return sum(request.path.startswith(start) for request in self.requests)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    server: HttpServer

    def respond(self) -> None:
        """Respond to any method."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server, path = self.server, self.path.partition("?")[0]
        with server.changed:
            server.requests.append(Request(self.command, self.path, tuple(self.headers.items())))
            server.changed.notify_all()
            if path.startswith("/together/"):
                until = time.monotonic() + LONGEST
                while server.count("/together/") < server.together and time.monotonic() < until:
                    server.changed.wait(0.1)
            is_busy = path.startswith("/busy/") and server.count(path) == 1
        if path in ("/stream", "/cut"):
            self._send_parts(is_cut=path == "/cut")
            return
        self.send_response(503 if is_busy else _STATUSES.get(path, 200))
        if path == "/moved":
            self.send_header("Location", "/item")
        content = b'{"accepted": true}' if path == REPORTS else b"tea"
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_parts(self, *, is_cut: bool) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(FIRST), FIRST))
        self.wfile.flush()
        if is_cut:
            self.close_connection = True
            return
        self.server.gate.wait(LONGEST)
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(LAST), LAST))

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


for _method in METHODS:
    setattr(_Handler, f"do_{_method}", _Handler.respond)


@contextmanager
def http_server() -> Iterator[HttpServer]:
    """Run the server."""
    with HttpServer() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()
