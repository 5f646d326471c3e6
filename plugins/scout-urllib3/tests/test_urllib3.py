"""urllib3 itself, and requests on top of it, over real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Lock, Thread

import pytest
import requests
import urllib3
from urllib3._collections import HTTPHeaderDict  # urllib3 < 2 does not export it
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, MaxRetryError

import scout_core
from scout_core import span, transaction
from scout_core.testing import RecordedSpan, recording


class Answers(BaseHTTPRequestHandler):
    """
    ``/busy`` returns 503 once, ``/old`` redirects to ``/new``; all other paths return 200.

    The body of ``/chunked`` comes in chunks, and that of ``/cut`` without the last.
    """

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # headers and body in one packet: otherwise each response waits 40 ms for an acknowledgement

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            self.server.seen.append((self.command, self.path, self.headers.get("Authorization")))
            self.server.parents.append(self.headers.get_all("traceparent"))
            is_first = [path for _, path, _ in self.server.seen].count(self.path) == 1
        status = 302 if self.path == "/old" else 503 if self.path == "/busy" and is_first else 200
        if self.path == "/api/v1/reports":
            status = 202
        content = b'{"accepted": true}' if status == 202 else b"hello " + body
        if self.path in ("/chunked", "/cut"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
            if self.path == "/chunked":
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = self.path == "/cut"
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/new")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_POST = do_PUT = do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.lock = Lock()
        self.seen: list[tuple[str, str, str | None]] = []
        self.parents: list[list[str] | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def http(server) -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as manager:  # closed before the server, which waits for its connections
        yield manager


@pytest.fixture
def session(server) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A reserved port on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def call(
    url: str,
    status: int | None = 200,
    *,
    method: str = "GET",
    parent: str = "Controller/home",
    error: str | None = None,
    **more: object,
) -> RecordedSpan:
    tags = {"url": url, **more} if status is None else {"url": url, "status": status, **more}
    return RecordedSpan(f"HTTP/{method}", tags, parent=parent, error=error)


def describer_calls(scout) -> int:
    return next(plugin.calls for plugin in scout.agent.plugin_statuses() if plugin.name == "urllib3")


def test_a_call_is_a_span_with_its_url_and_status(scout, server, http):
    with transaction("Controller/home"):
        answer = http.request("GET", f"{server.url}/cart/7")

    assert b"hello " == answer.data
    assert (call(f"{server.url}/cart/7"),) == scout.transaction.spans


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_the_operation_is_the_method(scout, server, http, method):
    with transaction("Controller/home"):
        http.request(method, server.url)
        http.connection_from_url(server.url).urlopen(method.lower(), "/")

    found = [call(f"{server.url}/", status, method=method) for status in (200, 501)]  # sent as it was written
    assert found == list(scout.transaction.spans)


def sent_urls(scout) -> list[object]:
    """The URLs that leave the process."""
    (trace,) = scout.traces()
    return [span.tags["url"] for span in trace.spans]


def test_neither_query_nor_user_nor_fragment_leaves_the_process(scout, server, http):
    address = server.url.removeprefix("http://")

    with transaction("Controller/home"):
        http.request("GET", f"http://ada:lovelace@{address}/find?token=abc#top")
        http.request("GET", f"{server.url}/find", fields={"card": "4111"})
        http.connection_from_url(server.url).urlopen("GET", "/find?next=http://other/")

    assert [f"{server.url}/find"] * 3 == sent_urls(scout)
    assert ["/find?token=abc", "/find?card=4111", "/find?next=http://other/"] == [path for _, path, _ in server.seen]


def test_a_call_through_a_proxy_has_the_url_of_the_server(scout, server):
    with urllib3.ProxyManager(server.url, retries=False) as proxy, transaction("Controller/home"):
        proxy.request("GET", "http://ada:love@lace@shop.test:8080/find?token=abc")
        proxy.request("GET", "http://shop.test?token=abc")

    assert ["http://shop.test:8080/find", "http://shop.test"] == sent_urls(scout)
    assert ["token=abc"] * 2 == [path.partition("?")[2] for _, path, _ in server.seen]


def test_requests_passes_everything_by_keyword(scout, server, session):
    with transaction("Controller/home"):
        answers = [
            session.get(f"{server.url}/find", params={"token": "abc"}),
            session.post(f"{server.url}/cart", data=b"tea", auth=("ada", "lovelace")),
        ]

    assert [b"hello ", b"hello tea"] == [answer.content for answer in answers]
    assert ["HTTP/GET", "HTTP/POST", "Controller/home"] == scout.operations
    assert [f"{server.url}/find", f"{server.url}/cart"] == sent_urls(scout)


def test_a_redirect_that_the_manager_or_requests_follows_is_a_separate_call(scout, server, session):
    with urllib3.PoolManager() as manager, transaction("Controller/home"):
        manager.request("GET", f"{server.url}/old")
        session.get(f"{server.url}/old")

    assert (call(f"{server.url}/old", 302), call(f"{server.url}/new")) * 2 == scout.transaction.spans


def test_a_redirect_that_a_pool_follows_belongs_to_the_call(scout, server, http):
    """The span is the call as the application sees it: its status is that of the final response."""
    pool = http.connection_from_url(server.url)

    with transaction("Controller/home"):
        answer = pool.urlopen("GET", "/old", redirect=True, retries=3)

    assert 200 == answer.status
    assert (call(f"{server.url}/old", attempts=2),) == scout.transaction.spans


def test_retries_are_attempts_of_one_call(scout, server):
    retries = urllib3.Retry(total=2, status_forcelist=[503], backoff_factor=0)

    with urllib3.PoolManager(retries=retries) as manager, transaction("Controller/home"):
        answer = manager.request("GET", f"{server.url}/busy")
        manager.request("GET", f"{server.url}/busy")

    assert 200 == answer.status
    assert (call(f"{server.url}/busy", attempts=2), call(f"{server.url}/busy")) == scout.transaction.spans


READERS = {
    "at once": lambda response: response.read(),
    "in parts": lambda response: list(response.stream(3)),
    "as an attribute": lambda response: response.data,
    "by closing": lambda response: response.close(),
    "in a block": lambda response: response.__enter__() and response.__exit__(None, None, None),
    "by draining": lambda response: response.drain_conn(),
    "by releasing the connection": lambda response: response.release_conn(),
}


@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_a_body_that_is_read_later_belongs_to_the_call(scout, scout_clock, server, http, read, path):
    with transaction("Controller/home") as home:
        response = http.request("GET", f"{server.url}{path}", preload_content=False)
        scout_clock.advance(2)
        assert home.spans == []
        read(response)
        scout_clock.advance(1)
        assert ["HTTP/GET"] == [span.operation for span in home.spans]
        response.close()

    assert {"release_conn", "close"}.isdisjoint(vars(response))
    assert (call(f"{server.url}{path}"),) == scout.transaction.spans
    assert 2.0 == scout.transaction.spans[0].duration


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_requests_reads_the_body_within_the_call(scout, server, session, path):
    with transaction("Controller/home") as home:
        assert b"hello " == session.get(f"{server.url}{path}").content
        assert 1 == len(home.spans)
        with session.get(f"{server.url}{path}", stream=True) as streamed:
            assert 1 == len(home.spans)
            assert [b"hello "] == list(streamed.iter_content(100))
        assert 2 == len(home.spans)

    assert (call(f"{server.url}{path}"),) * 2 == scout.transaction.spans


def test_an_error_while_the_body_is_read_is_an_error_of_the_span(scout, server, http):
    """An exception that the application handles meanwhile is not."""
    with transaction("Controller/home"):
        response = http.request("GET", f"{server.url}/cut", preload_content=False)
        with pytest.raises(HTTPError):
            list(response.stream(100))
        try:
            raise KeyError
        except KeyError:
            http.request("GET", f"{server.url}/", preload_content=False).read()
            http.request("GET", f"{server.url}/", preload_content=False).close()

    assert (
        call(f"{server.url}/cut", error="urllib3.exceptions.ProtocolError"),
        *(call(f"{server.url}/"),) * 2,
    ) == scout.transaction.spans


def test_a_response_that_nobody_reads_ends_when_it_is_freed(scout, server):
    with urllib3.PoolManager(retries=False) as manager, transaction("Controller/home") as home:
        response = manager.request("GET", server.url, preload_content=False)
        assert home.spans == []
        del response
        assert 1 == len(home.spans)

    assert ["HTTP/GET", "Controller/home"] == scout.operations


def test_an_error_response_has_a_status_and_is_not_an_error_of_the_span(scout, server, http):
    with transaction("Controller/home"):
        http.request("GET", f"{server.url}/busy")

    assert (call(f"{server.url}/busy", 503),) == scout.transaction.spans
    assert not scout.transaction.is_error


def failing(port: int) -> MaxRetryError:
    with urllib3.PoolManager() as manager, pytest.raises(MaxRetryError) as caught:
        manager.request("GET", f"http://127.0.0.1:{port}/", retries=urllib3.Retry(total=1, backoff_factor=0))
    return caught.value


def chain(error: BaseException | None) -> list[object]:
    """Everything that an application can see of an error, without our frames and the addresses of objects."""
    if error is None:
        return []
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if "scout_core" not in frame.filename
    ]
    here = [type(error), len(error.args), error.__suppress_context__, error.__cause__ is error.__context__, frames]
    return [*here, *chain(error.__context__)]


def test_the_error_of_a_call_without_a_response_passes_untouched(closed_port):
    expected = failing(closed_port)
    with recording() as scout:
        with transaction("Controller/home"):
            error = failing(closed_port)

        assert chain(expected) == chain(error)
        assert "failing" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        url = f"http://127.0.0.1:{closed_port}/"
        assert (call(url, None, error="urllib3.exceptions.MaxRetryError", attempts=2),) == scout.transaction.spans


def test_a_call_with_tls_that_fails(scout, server):
    with urllib3.PoolManager(retries=False) as manager, transaction("Controller/home"), pytest.raises(HTTPError):
        manager.request("GET", f"https://127.0.0.1:{server.server_port}/")

    assert (call(f"https://127.0.0.1:{server.server_port}/", None, error="urllib3.exceptions.SSLError"),) == (
        scout.transaction.spans
    )


def test_calls_from_threads_belong_to_the_transaction_of_the_thread(scout, server, http):
    together = Barrier(4, timeout=30)

    def work(number: int) -> None:
        with transaction(f"Job/{number}"):
            together.wait()
            for _ in range(3):
                http.request("GET", f"{server.url}/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert {f"Job/{number}": (call(f"{server.url}/{number}", parent=f"Job/{number}"),) * 3 for number in range(4)} == {
        seen.operation: seen.spans for seen in scout.transactions
    }


def test_calls_in_the_threads_of_asyncio_are_children_of_the_code_that_awaits_them(scout, server, http):
    async def part(name: str) -> None:
        with span(f"Part/{name}"):
            await asyncio.to_thread(http.request, "GET", f"{server.url}/{name}")

    async def page() -> None:
        with transaction("Controller/home"):
            await asyncio.gather(part("left"), part("right"))

    asyncio.run(page())

    assert [call(f"{server.url}/{name}", parent=f"Part/{name}") for name in ("left", "right")] == sorted(
        (seen for seen in scout.spans if seen.operation == "HTTP/GET"), key=lambda seen: seen.parent
    )


def test_a_report_to_the_collector_is_not_recorded(server):
    settings = {"plugins_disable": (), "collector_url": server.url, "collector_token": "secret"}
    with recording(**settings) as scout:
        (exporter,) = [exporter for exporter in scout.agent.exporters if exporter.name == "collector"]
        with transaction("Job/prices"):
            exporter.export(scout.report())

        assert ("POST", "/api/v1/reports", "Bearer secret") in server.seen
        assert ["Job/prices"] == scout.operations


def test_the_application_gets_and_the_server_sees_the_same_with_and_without_the_agent(server):
    def exchange() -> list[object]:
        server.seen.clear()
        with urllib3.PoolManager() as manager:
            answer = manager.request("POST", f"{server.url}/a?b=c", body=b"tea", headers={"X-A": "b"})
            headers = [(key, value) for key, value in answer.headers.items() if key != "Date"]
            return [answer.status, headers, answer.data, *server.seen]

    expected = exchange()
    with recording(), transaction("Controller/home"):
        recorded = exchange()

    assert expected == recorded


def callers(server: Server) -> list[str | None]:
    """The span that each request names as its caller, of the only header that has one."""
    assert all(parents is None or len(parents) == 1 for parents in server.parents)
    return [None if parents is None else parents[0].split("-")[2] for parents in server.parents]


def test_each_attempt_names_the_span_of_its_call(scout, server, session):
    """Retries, redirects that a pool, the manager or requests follow: each sends the headers once."""
    retries = urllib3.Retry(total=2, status_forcelist=[503], backoff_factor=0)
    with urllib3.PoolManager(retries=retries) as manager, transaction("Controller/home") as home:
        manager.request("GET", f"{server.url}/busy", headers={"X-Shop": "tea"})
        manager.connection_from_url(server.url).urlopen("GET", "/old", redirect=True)
        manager.request("GET", f"{server.url}/old")
        session.get(f"{server.url}/old", headers={"X-Shop": "tea"})

    ids = [call.span_id for call in scout.spans if call.operation == "HTTP/GET"]
    assert [*ids[:1] * 2, *ids[1:2] * 2, *ids[2:]] == callers(server)
    assert 6 == len({*ids})
    assert {home.trace_id} == {parent.split("-")[1] for parents in server.parents for parent in parents}


@pytest.mark.parametrize(
    "headers",
    [None, {}, {"A": "b"}, HTTPHeaderDict({"A": "b"}), requests.structures.CaseInsensitiveDict(A="b")],
    ids=lambda headers: type(headers).__name__,
)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_headers_of_the_application_are_not_changed(scout, server, http, headers, is_chunked):
    before = None if headers is None else dict(headers.items())
    body = iter([b"tea"]) if is_chunked else b"tea"

    with transaction("Controller/home"):
        http.connection_from_url(server.url).urlopen("POST", "/", body=body, headers=headers, chunked=is_chunked)

    assert callers(server) == [call.span_id for call in scout.spans]
    assert before == (None if headers is None else dict(headers.items()))


def test_the_headers_of_a_pool_stay_as_they_are(scout, server):
    with urllib3.PoolManager(headers={"A": "b"}) as manager, transaction("Controller/home"):
        manager.request("GET", server.url)

        assert {"A": "b"} == manager.headers
    assert callers(server) == [call.span_id for call in scout.spans]


@pytest.mark.parametrize(
    "headers, path",
    [
        ({"TraceParent": "mine"}, "/"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=A, SignedHeaders=host, Signature=0"}, "/"),
        ({"X-Amz-Date": "20261129T000000Z"}, "/"),
        ({}, "/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"),
    ],
    ids=str,
)
def test_what_the_application_has_set_or_signed_is_sent_as_it_is(scout, server, http, session, headers, path):
    expected = [[headers["TraceParent"]]] * 2 if "TraceParent" in headers else [None] * 2
    with transaction("Controller/home"):
        http.request("GET", f"{server.url}{path}", headers=headers)
        session.get(f"{server.url}{path}", headers=headers)

    assert expected == server.parents


@pytest.mark.parametrize(
    "settings, is_sent",
    [
        ({"trace_hosts": "127.0.0.*"}, True),
        ({"trace_hosts": "127.0.0.1:1"}, False),
        ({"trace_hosts": "shop.example"}, False),
        ({"trace_hosts_exclude": "127.0.0.1"}, False),
        ({"trace_hosts_exclude": "shop.example"}, True),
    ],
    ids=str,
)
def test_only_hosts_that_may_have_them_get_the_headers(server, http, settings, is_sent):
    with recording(**settings) as scout:
        with transaction("Controller/home"):
            http.request("GET", server.url)
        assert ["HTTP/GET", "Controller/home"] == scout.operations

    assert [is_sent] == [parents is not None for parents in server.parents]


@pytest.mark.scout(trace_hosts="shop.test")
def test_through_a_proxy_the_server_decides_and_not_the_proxy(scout, server):
    with urllib3.ProxyManager(server.url, retries=False) as proxy, transaction("Controller/home"):
        proxy.request("GET", "http://shop.test/find")
        proxy.request("GET", "http://other.test/find")

    assert [True, False] == [parents is not None for parents in server.parents]


def test_a_request_that_is_not_recorded_passes_the_trace_on(scout, server, http):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with transaction("Controller/home").continue_from({"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}) as home:
        home.ignore()
        http.request("GET", server.url)

    assert [] == scout.transactions
    assert [(trace, "00")] == [(parent.split("-")[1], parent.split("-")[3]) for (parent,) in server.parents]
    assert "00f067aa0ba902b7" not in callers(server)


def test_outside_a_transaction_nothing_is_recorded(scout, server, http):
    http.request("GET", server.url)

    assert [] == scout.transactions
    assert [None] == server.parents
    assert 0 == describer_calls(scout)


def test_a_second_start_and_naming_the_plugin_do_not_wrap_twice(server, http):
    with recording(plugins=["scout_urllib3"]) as scout:
        scout_core.start(name="Shop")
        with transaction("Controller/home"):
            http.request("GET", server.url)

        assert (call(f"{server.url}/"),) == scout.transaction.spans


def test_stopping_the_agent_restores_the_original():
    before = vars(HTTPConnectionPool)["urlopen"]
    with recording():
        during = vars(HTTPConnectionPool)["urlopen"]

    assert during is not before
    assert before is vars(HTTPConnectionPool)["urlopen"]
    assert "urlopen" not in vars(HTTPSConnectionPool)


def test_the_agent_does_not_import_the_library():
    """urllib3 is wrapped when the application imports it."""
    program = """
import sys
from scout_core.testing import recording

with recording() as scout:
    assert "urllib3" not in sys.modules
    import urllib3
    (plugin,) = [plugin for plugin in scout.agent.plugin_statuses() if plugin.name == "urllib3"]
    print(plugin.state, plugin.wrapped)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    targets = (
        "connectionpool:HTTPConnectionPool.urlopen",
        "connection:HTTPConnection.request",
        "connection:HTTPConnection.request_chunked",
    )
    assert (f"active {tuple(f'urllib3.{target}' for target in targets)}\n", "", 0) == (
        done.stdout,
        done.stderr,
        done.returncode,
    )


def test_the_example_of_the_readme(scout, capsys):
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    *_, example = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)

    exec(compile(example, "README.md", "exec"), {})

    assert "200\n" == capsys.readouterr().out
    assert ["HTTP/HEAD", "Job/prices.fetch"] == scout.operations
