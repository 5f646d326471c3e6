"""WSGI servers on real sockets, in threads of the test's own process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Log nothing."""


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Print nothing."""


@contextmanager
def wsgiref_server(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, server_class=Threading, handler_class=Quiet) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def werkzeug_server(app: Any) -> Iterator[int]:
    serving = pytest.importorskip("werkzeug.serving")

    class QuietWerkzeug(serving.WSGIRequestHandler):  # type: ignore[name-defined,misc]  # imported above
        def log(self, *args: object) -> None:
            """Log nothing."""

    server = serving.make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietWerkzeug)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def waitress_server(app: Any) -> Iterator[int]:
    waitress = pytest.importorskip("waitress.server")
    sockets: dict[int, Any] = {}
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=2, map=sockets)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        try:
            server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(sockets))  # the loop ends without sockets
        except OSError:  # it was awake, and has closed them before it was woken up
            pass
        thread.join(20)


SERVERS: dict[str, Callable[[Any], Any]] = {
    "wsgiref": wsgiref_server,
    "werkzeug": werkzeug_server,
    "waitress": waitress_server,
}


def ask(port: int, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers without the date, and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, [pair for pair in answer.getheaders() if pair[0] != "Date"], answer.read()
    finally:
        connection.close()


def leave_early(port: int, path: str) -> None:
    """Read the beginning of a response, and disconnect."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.recv(10)
