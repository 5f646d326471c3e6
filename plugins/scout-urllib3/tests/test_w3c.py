"""
Each case of the public test suite of W3C trace context, on a Flask application that calls back through urllib3.

The request lists addresses, which the application calls; the headers that it sends there are compared with those that it got.
Cases: https://github.com/w3c/trace-context, ``test/test.py``, at its strict level.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import flask
import pytest
import urllib3
from attrs import field, frozen
from werkzeug.serving import WSGIRequestHandler, make_server

TRACE, CALLER = "12345678901234567890123456789012", "1234567890123456"
Pairs = list[tuple[str, str]]


def parent(trace: str = TRACE, caller: str = CALLER, flags: str = "01", version: str = "00", after: str = "") -> Pairs:
    return [("traceparent", f"{version}-{trace}-{caller}-{flags}{after}")]


def state(*values: str, name: str = "tracestate") -> Pairs:
    return [*parent(flags="00"), *((name, value) for value in values)]


@frozen
class Case:
    """Headers that the application gets, and what it must send on."""

    name: str
    headers: Pairs
    continues: bool
    """It continues the trace of the caller; otherwise it begins a new one."""
    passed_on: dict[str, str] = field(factory=dict)
    """Members of ``tracestate`` that are sent on, in this order, and no others."""
    calls: int = 1

    def __str__(self) -> str:
        return self.name


def new(name: str, headers: Pairs, **more: int) -> Case:
    return Case(name, headers, False, **more)


def goes_on(name: str, headers: Pairs, passed_on: dict[str, str] | None = None, **more: int) -> Case:
    return Case(name, headers, True, passed_on or {}, **more)


OWN = parent()[0][1]
KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")
MEMBERS = [f"bar{number:02}={number:02}" for number in range(1, 34)]
TENS = [",".join(MEMBERS[begin : begin + 10]) for begin in (0, 10, 20)]

CASES = [
    new("both missing", []),
    goes_on("without tracestate", parent()),
    new("traceparent twice", parent(trace=TRACE[:-1] + "1") + parent()),
    new("name with a dash", [("trace-parent", OWN)]),
    new("name with a dot", [("trace.parent", OWN)]),
    goes_on("name in capitals", [("TRACEPARENT", OWN)]),
    goes_on("name in camel case", [("TraceParent", OWN)]),
    goes_on("name in any case", [("TrAcEpArEnT", OWN)]),
    new("version 00 with a dot after it", parent(after=".")),
    new("version 00 with a field after it", parent(after="-what-the-future-will-be-like")),
    goes_on("version cc", parent(version="cc")),
    goes_on("version cc with a field after it", parent(version="cc", after="-what-the-future-will-be-like")),
    new("version cc with a dot after it", parent(version="cc", after=".what-the-future-will-be-like")),
    new("version ff", parent(version="ff")),
    new("version with a dot first", parent(version=".0")),
    new("version with a dot last", parent(version="0.")),
    new("version of 3 digits", parent(version="000")),
    new("version of 4 digits", parent(version="0000")),
    new("version of 1 digit", parent(version="0")),
    new("trace id of zeros", parent(trace="0" * 32)),
    new("trace id with a dot first", parent(trace="." + TRACE[1:])),
    new("trace id with a dot last", parent(trace=TRACE[:-1] + ".")),
    new("trace id of 33 digits", parent(trace=TRACE + "3")),
    new("trace id of 31 digits", parent(trace=TRACE[:-1])),
    new("parent id of zeros", parent(caller="0" * 16)),
    new("parent id with a dot first", parent(caller="." + CALLER[1:])),
    new("parent id with a dot last", parent(caller=CALLER[:-1] + ".")),
    new("parent id of 17 digits", parent(caller=CALLER + "7")),
    new("parent id of 15 digits", parent(caller=CALLER[:-1])),
    new("flags with a dot first", parent(flags=".0")),
    new("flags with a dot last", parent(flags="0.")),
    new("flags of 3 digits", parent(flags="001")),
    new("flags of 1 digit", parent(flags="1")),
    *(
        goes_on(f"traceparent in {before + after!r}", [("traceparent", before + OWN + after)])
        for before, after in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")]
    ),
    new("tracestate without traceparent", [("tracestate", "foo=1")]),
    new("tracestate of two without traceparent", [("tracestate", "foo=1,bar=2")]),
    goes_on("both", state("foo=1,bar=2"), {"foo": "1", "bar": "2"}),
    goes_on("state with a dash", state("foo=1", name="trace-state")),
    goes_on("state with a dot", state("foo=1", name="trace.state")),
    goes_on("state in camel case", state("foo=1", name="TraceState"), {"foo": "1"}),
    goes_on("state in any case", state("foo=1", name="TrAcEsTaTe"), {"foo": "1"}),
    goes_on("state in capitals", state("foo=1", name="TRACESTATE"), {"foo": "1"}),
    goes_on("empty state", state("")),
    goes_on("empty state after another", state("foo=1", ""), {"foo": "1"}),
    goes_on("empty state before another", state("", "foo=1"), {"foo": "1"}),
    goes_on(
        "several states",
        state("foo=1,bar=2", "rojo=1,congo=2", "baz=3"),
        {"foo": "1", "bar": "2", "rojo": "1", "congo": "2", "baz": "3"},
    ),
    goes_on("equal members", state("foo=1,foo=1"), {"foo": "1"}),
    goes_on("a key twice", state("foo=1,foo=2"), {"foo": "1"}),
    goes_on("equal members in two headers", state("foo=1", "foo=1"), {"foo": "1"}),
    goes_on("a key twice in two headers", state("foo=1", "foo=2"), {"foo": "1"}),
    goes_on("all characters", state(f"{KEY}={VALUE}"), {KEY: VALUE}),
    goes_on("all characters with a vendor", state(f"{KEY}@a-z0-9_-*/={VALUE}"), {f"{KEY}@a-z0-9_-*/": VALUE}),
    goes_on("spaces around members", state("foo=1 \t , \t bar=2, \t baz=3"), {"foo": "1", "bar": "2", "baz": "3"}),
    goes_on("tabs around members", state("foo=1\t \t,\t \tbar=2,\t \tbaz=3"), {"foo": "1", "bar": "2", "baz": "3"}),
    *(
        goes_on(f"state in {before + after!r}", state(f"{before}foo=1{after}"), {"foo": "1"})
        for before, after in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")]
    ),
    *(goes_on(f"the key in {member}", state(member)) for member in ["foo =1", "FOO=1", "foo.bar=1"]),
    *(goes_on(f"the vendor in {key}", state(f"{key}=1,bar=2")) for key in ["foo@", "@foo", "foo@@bar", "foo@bar@baz"]),
    goes_on("32 members", state(*TENS, ",".join(MEMBERS[30:32])), dict(member.split("=") for member in MEMBERS[:32])),
    goes_on("33 members", state(*TENS, ",".join(MEMBERS[30:33]))),
    goes_on("a key of 256", state("foo=1", "z" * 256 + "=1"), {"foo": "1", "z" * 256: "1"}),
    goes_on("a key of 257", state("foo=1", "z" * 257 + "=1")),
    goes_on(
        "a vendor of 241 and 14",
        state("foo=1", "t" * 241 + "@" + "v" * 14 + "=1"),
        {"foo": "1", "t" * 241 + "@" + "v" * 14: "1"},
    ),
    goes_on("a vendor of 242", state("foo=1", "t" * 242 + "@v=1")),
    goes_on("a vendor of 15", state("foo=1", "t@" + "v" * 15 + "=1")),
    goes_on("a value with =", state("foo=bar=baz")),
    goes_on("an empty value", state("foo=,bar=3")),
    goes_on("three calls", parent(), calls=3),
    new("three calls without traceparent", [], calls=3),
    new("three calls after an invalid traceparent", parent(trace="0" * 32), calls=3),
    goes_on("random", parent(flags="03")),
    goes_on("unknown flags", parent(flags="ff")),
]


class Harness(ThreadingHTTPServer):
    """Notes the headers of each call, by its path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Noting)
        self.lock = Lock()
        self.calls: dict[str, Pairs] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class Noting(BaseHTTPRequestHandler):
    wbufsize = 65_536

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            self.server.calls[self.path] = self.headers.items()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class Quiet(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Log nothing."""


def new_service() -> flask.Flask:
    app = flask.Flask("service")

    @app.post("/test")
    def test() -> str:
        with urllib3.PoolManager() as http:
            for call in flask.request.get_json():
                http.request("POST", call["url"], body=json.dumps(call["arguments"]))
        return "called"

    return app


def serving(server: object) -> Thread:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    return thread


@pytest.fixture(scope="module")
def harness() -> Iterator[Harness]:
    with Harness() as running:
        thread = serving(running)
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    """The port of the application."""
    server = make_server("127.0.0.1", 0, new_service(), threaded=True, request_handler=Quiet)
    thread = serving(server)
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, headers: Pairs, body: object) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        content = json.dumps(body).encode()
        connection.putrequest("POST", "/test")
        for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(content))), *headers]:
            connection.putheader(name, value)
        connection.endheaders(content)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_of_the_suite(scout, harness, service, case):
    harness.calls.clear()
    body = [{"url": f"{harness.url}/{number}", "arguments": []} for number in range(case.calls)]

    assert 200 == ask(service, case.headers, body)

    sent = [harness.calls[f"/{number}"] for number in range(case.calls)]
    parents = [[value for name, value in headers if name.lower() == "traceparent"] for headers in sent]
    assert [1] * case.calls == [len(found) for found in parents]
    read = [re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])", value) for (value,) in parents]
    traces, callers, flags = ({found[group] for found in read} for group in (1, 2, 3))
    states = [",".join(value for name, value in headers if name.lower() == "tracestate") for headers in sent]
    members = dict(member.split("=", 1) for member in states[0].split(",") if member)

    recorded = scout.transaction
    assert {recorded.trace_id} == traces
    assert ({TRACE} == traces) is case.continues
    assert (CALLER if case.continues else "") == recorded.parent_span_id
    assert case.calls == len(callers - {CALLER, "0" * 16})
    assert callers == {span.span_id for span in recorded.spans if span.operation == "HTTP/POST"}
    assert 1 == len(flags) == len({*states})
    if case.continues:
        assert flags == {f"{int(case.headers[0][1].strip()[53:55], 16) & 3:02x}"}
    assert list(case.passed_on.items()) == list(members.items())
