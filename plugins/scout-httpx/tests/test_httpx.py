"""HTTPX itself, both of its clients and all of its transports, over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import httpcore
import httpx
import pytest

from scout_core import current_transaction, span, transaction
from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.testing import RecordedSpan, recording


class Answers(BaseHTTPRequestHandler):
    """``/old`` redirects to ``/new``, ``/secret`` wants a password, ``/cut`` ends early; all other paths return 200."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.seen.append((self.command, self.path))
            self.server.parents.append(self.headers.get_all("traceparent"))
        path = self.path.partition("?")[0]
        status = {"/old": 302, "/secret": 200 if self.headers.get("Authorization") else 401}.get(path, 200)
        content = b"hello"
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/new")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Digest realm="shop", nonce="1", qop="auth", algorithm=MD5')
        if path == "/cut":
            self.send_header("Transfer-Encoding", "chunked")
            content = b"5\r\nhello\r\n"
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.lock = Lock()
        self.seen: list[tuple[str, str]] = []
        self.parents: list[list[str] | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def callers(self) -> list[str | None]:
        """The span that each request names as its caller, of the only header that has one."""
        assert all(parents is None or len(parents) == 1 for parents in self.parents)
        return [None if parents is None else parents[0].split("-")[2] for parents in self.parents]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, follow_redirects=True) as opened:
        yield opened


def call(url: str, status: int | None = 200, *, error: str | None = None, parent: str = "Job/prices", **more: object):
    tags = {"url": url, **({} if status is None else {"status": status}), **more}
    return RecordedSpan("HTTP/GET", tags, parent=parent, error=error)


def without_time(spans) -> list[RecordedSpan]:
    """The same spans without the tag ``active_time``, which each of them must have."""
    return [
        RecordedSpan(
            found.operation,
            {name: value for name, value in found.tags.items() if name != "active_time"},
            found.parent,
            found.error,
        )
        for found in spans
    ]


async def fetch(url: str, **settings: object) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, **settings) as http:
        return await http.get(url)


def test_redirects_and_steps_of_an_authentication_are_separate_calls(scout, server, client):
    with transaction("Job/prices"):
        client.get(f"{server.url}/old")
        client.get(f"{server.url}/secret", auth=httpx.DigestAuth("ada", "lovelace"))

    assert [
        call(f"{server.url}/old", 302),
        call(f"{server.url}/new"),
        call(f"{server.url}/secret", 401),
        call(f"{server.url}/secret"),
    ] == without_time(scout.transaction.spans)
    assert server.callers() == [found.span_id for found in scout.transaction.spans]


def test_the_request_of_the_application_is_not_changed(scout, server, client):
    """It may be sent again, and is the request of the response."""
    request = client.build_request("GET", server.url, headers=[("X-A", "b")])
    before = request.headers.raw[:]

    with transaction("Job/prices"):
        answers = [client.send(request), client.send(request)]

    assert before == request.headers.raw
    assert [request, request] == [answer.request for answer in answers]
    assert 2 == len({*server.callers()} - {None})


def test_the_request_of_an_exception_is_that_of_the_application(scout, client):
    request = client.build_request("GET", "http://127.0.0.1:1/")

    with transaction("Job/prices"), pytest.raises(httpx.ConnectError) as caught:
        client.send(request)

    assert request is caught.value.request
    assert [call("http://127.0.0.1:1/", None, error="httpx.ConnectError")] == list(scout.transaction.spans)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_belongs_to_the_call_until_it_is_closed(scout, scout_clock, server, client, is_async):
    async def read() -> None:
        async with (
            httpx.AsyncClient(trust_env=False) as http,
            http.stream("GET", server.url) as response,
        ):
            assert isinstance(response.stream, httpx.AsyncByteStream)
            scout_clock.advance(2)
            assert [b"he", b"ll", b"o"] == [part async for part in response.aiter_bytes(2)]

    with transaction("Job/prices") as job:
        if is_async:
            asyncio.run(read())
        else:
            with client.stream("GET", server.url) as response:
                assert isinstance(response.stream, httpx.SyncByteStream)
                scout_clock.advance(2)
                assert job.spans == []
                assert [b"he", b"ll", b"o"] == list(response.iter_bytes(2))

    assert [call(f"{server.url}", active_time=0.0)] == list(scout.transaction.spans)
    assert 2.0 == scout.transaction.spans[0].duration


def test_a_stream_that_is_closed_early_ends_the_call(scout, server, client):
    with transaction("Job/prices") as job:
        with client.stream("GET", server.url):
            assert job.spans == []
        assert 1 == len(job.spans)

    assert [call(server.url)] == without_time(scout.transaction.spans)


def test_an_error_while_the_body_is_read_is_an_error_of_the_span(scout, server, client):
    with transaction("Job/prices"), pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{server.url}/cut")

    assert [call(f"{server.url}/cut", error="httpx.RemoteProtocolError")] == without_time(scout.transaction.spans)


def test_neither_query_nor_user_nor_fragment_leaves_the_process(scout, server, client):
    with transaction("Job/prices"):
        client.get(f"{server.url.replace('//', '//ada:love%40lace@')}/find?token=abc#top", params={"card": "4111"})

    (trace,) = scout.traces()
    assert [f"{server.url}/find"] == [found.tags["url"] for found in trace.spans]
    assert "token" not in str(trace)
    assert "lovelace" not in str(trace)


@pytest.mark.scout(trace_hosts="shop.test")
def test_through_a_proxy_the_server_decides_and_not_the_proxy(scout, server):
    proxy = httpx.HTTPTransport(proxy=httpx.Proxy(server.url))
    with httpx.Client(transport=proxy, trust_env=False) as http, transaction("Job/prices"):
        http.get("http://shop.test/find?a=b")
        http.get("http://other.test/find")

    assert [("GET", "http://shop.test/find?a=b"), ("GET", "http://other.test/find")] == server.seen
    assert [True, False] == [parents is not None for parents in server.parents]
    assert ["http://shop.test/find", "http://other.test/find"] == [
        found.tags["url"] for found in scout.traces()[0].spans
    ]


def test_a_tunnel_through_a_proxy_is_opened_without_headers_of_the_trace(scout, server):
    proxy = httpx.HTTPTransport(proxy=httpx.Proxy(server.url))
    with (
        httpx.Client(transport=proxy, trust_env=False) as http,
        transaction("Job/prices"),
        pytest.raises(httpx.ProxyError),
    ):
        http.get("https://shop.test/")

    assert [] == server.parents  # it does not know CONNECT, so no request has arrived
    assert ["httpx.ProxyError"] == [found.error for found in scout.transaction.spans]


class Retrying(httpx.HTTPTransport):
    """A transport of the application, which sends each request twice."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        super().handle_request(request).close()
        return super().handle_request(request)


class Own(httpx.BaseTransport):
    """A transport of the application, which needs no network."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert "traceparent" not in request.headers
        return httpx.Response(203, stream=httpx.ByteStream(b"own"))


def test_transports_of_the_application(scout, server):
    with transaction("Job/prices"):
        for transport, url in [
            (Retrying(), server.url),
            (Own(), "http://own.test/"),
            (httpx.MockTransport(lambda request: httpx.Response(204, text="mock")), "http://mock.test/"),
        ]:
            with httpx.Client(transport=transport, trust_env=False) as http:
                http.get(url)

    assert [call(server.url), call("http://own.test/", 203), call("http://mock.test/", 204)] == without_time(
        scout.transaction.spans
    )
    assert [scout.transaction.spans[0].span_id] * 2 == server.callers()


def test_an_application_in_the_same_process_is_a_part_of_the_call(scout, server):
    async def app(scope, receive, send) -> None:
        await fetch(server.url)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    async def page() -> None:
        transport = httpx.ASGITransport(app=AsgiMiddleware(app, name="Controller/shop"))
        with transaction("Job/prices"):
            assert b"hello" == (await fetch("http://shop.test/", transport=transport)).content

    asyncio.run(page())

    assert [
        call(server.url, parent="Controller/shop"),
        ("Controller/shop", "HTTP/GET"),
        call("http://shop.test/"),
    ] == [
        (found.operation, found.parent) if found.operation == "Controller/shop" else found
        for found in without_time(scout.transaction.spans)
    ]


def test_a_wsgi_application_in_the_same_process(scout):
    def app(environ, start_response):
        assert "Job/prices" == current_transaction().operation
        with span("Cart/Find"):
            start_response("200 OK", [])
        return [b"hello"]

    with httpx.Client(transport=httpx.WSGITransport(app=app)) as http, transaction("Job/prices"):
        http.get("http://shop.test/")

    assert [("Cart/Find", "HTTP/GET"), ("HTTP/GET", "Job/prices")] == [
        (found.operation, found.parent) for found in scout.transaction.spans
    ]


def test_a_call_of_httpcore_alone_sends_the_headers(scout, server):
    """Its URL is a text, bytes or an object."""
    with httpcore.ConnectionPool() as pool, transaction("Job/prices") as job:
        for url in (server.url, server.url.encode(), httpcore.URL(f"{server.url}/")):
            pool.request("GET", url)

    assert [job.span_id] * 3 == server.callers()
    assert ["Job/prices"] == scout.operations


@pytest.mark.parametrize("path", ["/", "/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"])
def test_signed_by_an_authentication(scout, server, client, path):
    class Signature(httpx.Auth):
        def auth_flow(self, request):
            request.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host, Signature=0"
            yield request

    with transaction("Job/prices"):
        client.get(f"{server.url}{path}", auth=Signature())

    assert [None] == server.callers()


def test_stopping_the_agent_restores_the_originals():
    targets = [
        (httpx.Client, "_send_single_request"),
        (httpx.AsyncClient, "_send_single_request"),
        (httpcore.Request, "__init__"),
    ]
    before = [vars(owner)[name] for owner, name in targets]
    with recording():
        assert all(vars(owner)[name] is not raw for (owner, name), raw in zip(targets, before, strict=True))

    assert before == [vars(owner)[name] for owner, name in targets]


def test_the_example_of_the_readme(scout, capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    *_, example = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)

    exec(compile(example, "README.md", "exec"), {})

    assert "200\n" == capsys.readouterr().out
    assert ["HTTP/HEAD", "Job/prices.fetch"] == scout.operations
