"""Serving an application over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from threading import Event, Thread
from typing import NamedTuple

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server


class Answer(NamedTuple):
    """A response as received, without the date."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


Ask = Callable[..., Answer]


class Quiet(WSGIRequestHandler):
    """Logs nothing to stderr, and notes when a request is over."""

    over: dict[int, Event]
    """Port of the client to what is set when its request is over, which may be after it has the whole response."""

    def handle(self) -> None:
        try:
            super().handle()
        finally:
            self.over.setdefault(self.client_address[1], Event()).set()

    def log(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def running(app: object) -> Iterator[Ask]:
    over: dict[int, Event] = {}
    handler = type("Handler", (Quiet,), {"over": over})
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def ask(method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            port = connection.sock.getsockname()[1]
            response = connection.getresponse()
            kept = [(key, value) for key, value in response.getheaders() if key != "Date"]
            answer = Answer(response.status, response.reason, kept, response.read())
        finally:
            connection.close()
        assert over.setdefault(port, Event()).wait(30)
        return answer

    try:
        yield ask
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[object], Ask]]:
    """``serve(app)`` returns ``ask(method, path)``."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(running(app))
