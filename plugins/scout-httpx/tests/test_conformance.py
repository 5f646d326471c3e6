"""The conformance suite on HTTPX itself, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

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
    with httpx.Client(trust_env=False) as http:
        assert b"hello" == http.get(f"{url}/", headers={"X-Shop": hostile("tea")}).content


async def asks_and_awaits(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert b"hello" == (await http.get(f"{url}/")).content


def is_sent_elsewhere(url: str) -> None:
    with httpx.Client(trust_env=False, follow_redirects=True) as http:
        assert b"hello" == http.get(f"{url}/old").content


def reads_in_parts(url: str) -> None:
    with httpx.Client(trust_env=False) as http, http.stream("GET", url) as response:
        assert b"hello" == b"".join(response.iter_bytes())


def finds_nobody(closed_port: int) -> None:
    with httpx.Client(trust_env=False) as http:
        http.get(f"http://127.0.0.1:{closed_port}/")


test_conformance = conformance(
    "scout_httpx",
    asks,
    asks_and_awaits,
    is_sent_elsewhere,
    reads_in_parts,
    Call(finds_nobody, raises=httpx.ConnectError),
)
