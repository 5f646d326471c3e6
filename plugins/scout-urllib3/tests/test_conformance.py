"""The conformance suite on urllib3 itself, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import urllib3

from scout_core.testing import Call, conformance, hostile


class Answers(BaseHTTPRequestHandler):
    """``/old`` redirects to ``/new``; all other paths return 200."""

    wbufsize = 65_536

    def do_GET(self) -> None:
        is_old = self.path == "/old"
        self.send_response(302 if is_old else 200)
        if is_old:
            self.send_header("Location", "/new")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A reserved port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def asks(url: str) -> None:
    with urllib3.PoolManager() as http:
        assert b"hello" == http.request("GET", f"{url}/", headers={"X-Shop": hostile("tea")}).data


def is_sent_elsewhere(url: str) -> None:
    with urllib3.PoolManager() as http:
        assert b"hello" == http.request("GET", f"{url}/old").data


def asks_with_objects_of_its_own(url: str) -> None:
    with urllib3.PoolManager() as http:
        pool = http.connection_from_url(url)
        answer = pool.urlopen("GET", "/", retries=hostile(urllib3.Retry(1)), timeout=hostile(urllib3.Timeout(30)))
        assert b"hello" == answer.data


def reads_later(url: str) -> None:
    with urllib3.PoolManager() as http:
        assert [b"hel", b"lo"] == list(http.request("GET", f"{url}/", preload_content=False).stream(3))


def finds_nobody(closed_port: int) -> None:
    with urllib3.PoolManager(retries=1) as http:
        http.request("GET", f"http://127.0.0.1:{closed_port}/")


test_conformance = conformance(
    "scout_urllib3",
    asks,
    is_sent_elsewhere,
    asks_with_objects_of_its_own,
    reads_later,
    Call(finds_nobody, raises=urllib3.exceptions.MaxRetryError),
)
