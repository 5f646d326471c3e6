"""Serving an application over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from threading import Thread
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
    """Logs nothing to stderr."""

    def log(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def running(app: object) -> Iterator[Ask]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def ask(method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            kept = [(key, value) for key, value in response.getheaders() if key != "Date"]
            return Answer(response.status, response.reason, kept, response.read())
        finally:
            connection.close()

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
