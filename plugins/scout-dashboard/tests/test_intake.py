from __future__ import annotations

import gzip
import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve
from sample_reports import report, send
from visitor import visitor_of
from wire_client import exchange, head, parse

from scout_core.measuring.histogram import Histogram, value_of
from scout_core.sending import wire
from scout_core.sending.rendezvous import locate
from scout_dashboard.collector import Collector
from scout_dashboard.intake import MAX_BYTES
from scout_dashboard.ranges import named_range


def good() -> dict:
    return json.loads(wire.encode(report(end=time.time())))


def changed(path: str, value: object) -> bytes:
    """Return a valid report with one value replaced; the path is separated by dots."""
    facts = good()
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = facts
    for part in way:
        inner = inner[part]
    inner[last] = value
    return json.dumps(facts).encode()


def stored(collector: Collector) -> int:
    return collector.queries.health()["collector"]["reports"]


def rejected(collector: Collector) -> dict[str, int]:
    return collector.queries.health()["collector"]["rejected"]


def reason(body: bytes) -> str:
    return json.loads(body)["error"]


def test_a_report_is_accepted_and_shown(collector):
    status, body = send(collector.url, collector.token, report(end=time.time()))
    answer = json.loads(body)

    assert (202, True, False, 5) == (status, answer["accepted"], answer["duplicate"], answer["next_report"])
    assert collector.queries.overview(named_range("1h"))["totals"]["count"] > 0


def test_a_duplicate_report_is_accepted_and_counted_once(collector):
    once = report(end=time.time())
    answers = [send(collector.url, collector.token, once) for _ in range(3)]
    health = collector.queries.health()["collector"]

    assert [202, 202, 202] == [status for status, _ in answers]
    assert [False, True, True] == [json.loads(body)["duplicate"] for _, body in answers]
    assert (1, 2) == (health["reports"], health["duplicates"])
    assert sum(metrics.count for metrics in once.transactions) == health["transactions"]
    assert len(once.traces) == health["traces"]


@pytest.mark.parametrize("token", ["", "wrong", "Ünïcode", "x" * 5_000])
def test_an_invalid_token_is_refused(collector, token):
    answer = exchange(collector, head(collector, "Content-Length: 2", token=token), b"{}")

    assert (401, "Bearer") == (answer.status, answer.headers["www-authenticate"])
    assert "missing or invalid token" in reason(answer.body)
    assert {"unauthorized": 1} == rejected(collector)


def test_the_login_token_and_the_session_do_not_authorize_reports(collector):
    for given in (collector.access.login_token, collector.access.sessions.begin("a browser")):
        assert 401 == send(collector.url, given, report(end=time.time()))[0]


@pytest.mark.parametrize(
    "line", ["X-Nothing: 1", "Authorization: Basic Zm9vOmJhcg==", "Authorization: Bearer", "Authorization:"]
)
def test_a_missing_token_is_refused(collector, line):
    request = f"POST /api/v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{collector.port}\r\n{line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    assert 401 == exchange(collector, request.encode()).status


def test_two_tokens_are_refused_even_if_the_second_is_valid(collector):
    answer = exchange(collector, head(collector, "Authorization: Bearer other", "Content-Length: 2"), b"{}")

    assert 401 == answer.status


@pytest.mark.parametrize(
    "line",
    ["Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/jsonp"],
)
def test_another_content_type_is_refused(collector, line):
    request = head(collector, "Content-Length: 2").replace(b"Content-Type: application/json", line.encode())
    answer = exchange(collector, request, b"{}")

    assert (415, {"wrong content type": 1}) == (answer.status, rejected(collector))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_compressed_body_is_refused(collector, coding):
    bomb = gzip.compress(bytes(50_000_000))
    answer = exchange(collector, head(collector, f"Content-Encoding: {coding}", f"Content-Length: {len(bomb)}"), bomb)

    assert (415, {"wrong content type": 1}) == (answer.status, rejected(collector))


def test_gzip_that_claims_to_be_json_is_malformed(collector):
    status, body = send(collector.url, collector.token, gzip.compress(wire.encode(report(end=time.time()))))

    assert (400, "the body is not JSON") == (status, reason(body))


HUGE = "9" * 5_000
MALFORMED = {
    "empty": b"",
    "not JSON": b"hello",
    "truncated": wire.encode(report(end=time.time()))[:5_000],
    "not UTF-8": b'{"schema": "\xff\xfe"}',
    "UTF-16": json.dumps({"schema": 1}).encode("utf-16"),
    "a list": b"[]",
    "null": b"null",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "deep in a report": b'{"schema":1,"id":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "no fields": b'{"schema": 1}',
    "no schema": b"{}",
    "a schema as a string": changed("schema", "1"),
    "NaN": changed("transactions.0.total", float("nan")),
    "Infinity": changed("transactions.0.total", float("inf")),
    "1e400": changed("transactions.0.total", 7e77).replace(b"7e+77", b"1e400"),
    "a number of 5000 digits": changed("transactions.0.count", 7_777_777).replace(b"7777777", HUGE.encode()),
    "NaN in a tag": changed("traces.0.tags.path", float("nan")),
    "an object in a tag": changed("traces.0.tags.path", {"a": 1}),
    "a negative count": changed("transactions.0.count", -1),
    "negative errors": changed("transactions.0.errors", -1),
    "negative counters": changed("counters.collector.finished", -1),
    "a negative number of dropped": changed("counters.collector.dropped", {"sampled": -1}),
    "Infinity in a tag of a span": changed("traces.0.spans.0.tags", {"rows": float("-inf")}),
    "a negative time": changed("transactions.0.total", -0.5),
    "a negative count of a kind": changed("transactions.0.kinds.SQL.count", -3),
    "a negative bucket": changed("transactions.0.durations", [[1, -5]]),
    "a bucket out of range": changed("transactions.0.durations", [[10**6, 5]]),
    "more durations than transactions": changed("transactions.0.durations", [[1, 10**9]]),
    "an excessive count": changed("transactions.0.count", 10**10),
    "a bucket that is not a pair": changed("transactions.0.durations", [[1]]),
    "buckets as a string": changed("transactions.0.durations", "1,2"),
    "a string for a number": changed("end", "now"),
    "a number for a string": changed("process.app", 7),
    "true for a number": changed("transactions.0.count", True),
    "an object for a list": changed("transactions", {"a": 1}),
    "an id that is empty": changed("id", ""),
    "an id that is long": changed("id", "x" * 1_000),
    "a trace id that leads elsewhere": changed("traces.0.id", "../../login"),
    "two spans with one id": changed("traces.0.spans.1.id", 1),
    "a span that is the transaction": changed("traces.0.spans.0.id", 0),
    "a span with a negative duration": changed("traces.0.spans.0.duration", -1.0),
    "a period that ends before it starts": changed("start", time.time() + 3_600),
    "a period long ago": changed("end", 86_400.0),
    "a period in the future": changed("end", time.time() + 10 * 86_400),
    "milliseconds": changed("end", time.time() * 1_000),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_an_invalid_report_is_refused_with_a_reason_and_changes_nothing(collector, capfd, body):
    shown = named_range("1h")  # once: the next minute moves it
    send(collector.url, collector.token, report(end=time.time(), number=77))
    before = collector.queries.overview(shown)

    status, answer = send(collector.url, collector.token, body)
    after = collector.queries.overview(shown)
    output = capfd.readouterr()

    assert 400 == status
    assert reason(answer)
    assert "Traceback" not in answer.decode() + output.out + output.err
    assert ({"malformed": 1}, 1) == (rejected(collector), stored(collector))
    assert before == after


def test_the_limit_is_announced_and_is_in_every_answer(tmp_path):
    with Collector.running(state_dir=tmp_path / "state", max_report_bytes=100_000) as collector:
        announced = locate(tmp_path / "state").max_report_bytes
        small = send(collector.url, collector.token, report(end=time.time(), traces=0))
        large = send(collector.url, collector.token, b" " * 100_001)
        other = send(collector.url, collector.token, b"{}")
    answers = [(status, json.loads(body).get("max_report_bytes", "absent")) for status, body in (small, large, other)]

    assert 100_000 == announced
    assert [(202, 100_000), (413, 100_000), (400, "absent")] == answers
    assert not (tmp_path / "state" / "collector.json").exists()


def test_an_application_with_large_traces_keeps_all_its_figures(tmp_path):
    """312 of 312 requests were lost, because of the traces of a few."""
    source = """
import scout_core

scout_core.start(name="shop")
for number in range(12):
    with scout_core.transaction(f"Controller/large_{number}"):
        for _ in range(100):
            with scout_core.span("SQL/Query") as query:
                for tag in range(10):
                    query.tag(f"tag_{tag}", "word " * 380)
for _ in range(300):
    with scout_core.transaction("Controller/small"):
        pass
"""
    with Collector.running(state_dir=tmp_path / "state") as collector:
        environment = {**os.environ, "SCOUT_STATE_DIR": str(tmp_path / "state"), "SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "60"}
        subprocess.run([sys.executable, "-c", source], env=environment, check=True, timeout=120)
        health = collector.queries.health()
        page = visitor_of(collector).page("/health").text
    (process,) = health["processes"]
    counters = process["counters"]["collector"]

    assert (312, {}) == (health["collector"]["transactions"], health["collector"]["rejected"])
    assert (312, 312, {}) == (counters["finished"], counters["exported"], counters["dropped"])
    kept = health["collector"]["traces"]
    assert 0 < kept < 10
    assert {"traces": 10 - kept} == counters["left_out"]
    assert f"{10 - kept} traces left out of reports that were too large" in page


def test_a_report_with_another_schema_is_counted_as_that(collector):
    """So that the health page shows an agent of another version, not a broken one."""
    status, answer = send(collector.url, collector.token, changed("schema", 99))

    assert (400, {"another schema": 1}, 0) == (status, rejected(collector), stored(collector))
    assert "schema '99' is not 1: use the same version of scout-core on both sides" == reason(answer)


def test_a_reason_names_the_field(collector):
    _, answer = send(collector.url, collector.token, changed("transactions.0.total", "much"))

    assert "$.transactions[0].total" in reason(answer)


def test_a_histogram_of_a_billion_is_a_few_bytes(collector):
    base = report(end=time.time(), traces=0)
    many = evolve(
        base.transactions[0],
        count=10**9,
        total=10**9 * value_of(-150),
        durations=Histogram({-150: 10**9}),
        queued=0,
        queue_time=0.0,
    )
    for number in range(20):
        assert 202 == send(collector.url, collector.token, evolve(base, id=f"many-{number}", transactions=(many,)))[0]

    totals = collector.queries.overview(named_range("1h"))["totals"]

    assert 20 * 10**9 == totals["count"]
    assert collector.store.size_bytes() < 2_000_000


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("process.app", "Shop \ud800"),
        ("process.hostname", "web\udfff"),
        ("plugins.0.reason", "\udc00"),
        ("counters.collector.dropped", {"sampled \ud800": 1}),
        ("transactions.0.kinds", {"SQL\ud800": {"count": 1, "errors": 0, "total": 0.1, "exclusive": 0.1}}),
        ("traces.0.policies", {"speed\ud800": 1.0}),
        ("traces.0.tags", {"path\ud800": "/\udfff", "plan": "gold"}),
        ("traces.0.spans.0.operation", "SQL/\ud800"),
    ],
)
def test_a_lone_surrogate_anywhere_is_replaced_and_every_page_works(collector, path, value):
    body = changed(path, value)
    trace = json.loads(body)["traces"][0]["id"]

    status, _ = send(collector.url, collector.token, body)
    visitor = visitor_of(collector)

    assert 202 == status
    for page in ("/", "/endpoints", "/plugins", "/health", f"/trace/{trace}"):
        assert [] == visitor.page(page).problems


def test_lone_surrogates_are_replaced_and_other_characters_kept(collector):
    body = changed("transactions.0.name", "Controller/\ud800 caf\u00e9 \U0001f600")

    status, _ = send(collector.url, collector.token, body)
    names = [row["name"] for row in collector.queries.endpoints(named_range("1h"))["rows"]]

    assert 202 == status
    assert "Controller/? café \U0001f600" in names


def test_long_names_are_truncated(collector):
    status, _ = send(collector.url, collector.token, changed("transactions.0.name", "Controller/" + "n" * 100_000))
    names = [row["name"] for row in collector.queries.endpoints(named_range("1h"))["rows"]]

    assert 202 == status
    assert 500 == max(len(name) for name in names)


def test_a_clock_that_is_an_hour_off_does_not_matter(collector):
    for offset in (-3_600, 3_600):
        assert 202 == send(collector.url, collector.token, report(end=time.time() + offset, number=offset + 9_999))[0]


def test_a_body_of_the_largest_size_is_read(collector):
    body = wire.encode(report(end=time.time()))
    padded = body[:-1] + b" " * (MAX_BYTES - len(body)) + b"}"

    assert MAX_BYTES == len(padded)
    assert 202 == send(collector.url, collector.token, padded)[0]


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 9 * 1024 * 1024])
def test_a_body_with_a_content_length_above_the_limit_is_refused(collector, size):
    # By hand: the collector answers before the body is complete, and a client of HTTP may see only that the connection ended.
    answer = exchange(collector, head(collector, f"Content-Length: {size}"), b" " * size)

    assert (413, {"too large": 1}) == (answer.status, rejected(collector))
    assert str(MAX_BYTES) in reason(answer.body)


def test_a_chunked_body_above_the_limit_is_refused(collector):
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"  # a chunk of 1 MiB; its size is in hexadecimal
    answer = exchange(collector, head(collector, "Transfer-Encoding: chunked"), *[chunk] * 9, b"0\r\n\r\n")

    assert (413, {"too large": 1}) == (answer.status, rejected(collector))


def test_an_endless_body_is_cut_off(collector):
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    exchange(collector, head(collector, "Transfer-Encoding: chunked"), *[chunk] * 64)

    assert {"too large": 1} == rejected(collector)
    assert 202 == send(collector.url, collector.token, report(end=time.time()))[0]


def test_a_chunked_report_is_accepted(collector):
    body = wire.encode(report(end=time.time()))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1_000], body[1_000:1_001], body[1_001:]))

    assert 202 == exchange(collector, head(collector, "Transfer-Encoding: chunked"), chunks, b"0\r\n\r\n").status


@pytest.mark.parametrize("lines", [
    ["Content-Length: -1"], ["Content-Length: many"], ["Content-Length: 1e3"], ["Content-Length: 2", "Content-Length: 3"],
    ["Transfer-Encoding: gzip"],
])  # fmt: skip
def test_an_invalid_content_length_is_refused(collector, capfd, lines):
    answer = exchange(collector, head(collector, *lines), b"{}", half_close=True)

    assert answer.status in (400, 413, 501)
    assert "Traceback" not in capfd.readouterr().err
    assert 0 == stored(collector)


@pytest.mark.parametrize("digits", [8, 15, 30])
def test_an_excessive_content_length_is_refused_before_the_body_arrives(collector, digits):
    """From version 0.15 h11 itself refuses 30 digits."""
    started = time.monotonic()
    answer = exchange(collector, head(collector, "Content-Length: " + "9" * digits), b"{}")

    assert answer.status in (400, 413)
    assert time.monotonic() - started < 8


def test_an_invalid_chunk_ends_the_request(collector, capfd):
    answer = exchange(collector, head(collector, "Transfer-Encoding: chunked"), b"zz\r\nhello\r\n")

    assert 400 == answer.status
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "" == capfd.readouterr().err


def test_an_invalid_chunk_after_the_response_closes_the_connection_silently(collector, capfd):
    with socket.create_connection(("127.0.0.1", collector.port), timeout=20) as connection:
        token, path = collector.access.login_token, "/api/v1/overview"
        request = head(collector, "Transfer-Encoding: chunked", path=path, token=token)
        request = request.replace(b"Connection: close\r\n", b"")
        connection.sendall(request + b"5\r\nhello\r\n")
        received = b""
        while not received.endswith(b'use GET or HEAD"}'):
            received += connection.recv(65_536)
        connection.sendall(b"zz\r\nno chunk\r\n")
        rest = connection.recv(65_536)

    assert (405, b"") == (parse(received).status, rest)
    assert "" == capfd.readouterr().err


def test_an_incomplete_body_is_refused(collector, capfd):
    body = wire.encode(report(end=time.time()))
    lines = f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
    parts = body[: len(body) // 2], b"%x\r\n%s" % (len(body), body[: len(body) // 2])
    answers = [exchange(collector, head(collector, line), part, half_close=True) for line, part in zip(lines, parts)]
    wait_for(lambda: {"truncated": 2} == rejected(collector))

    for answer in answers:
        assert (400, b"incomplete body") == (answer.status, answer.body)
        assert "nosniff" == answer.headers["x-content-type-options"]
    assert (0, "") == (stored(collector), capfd.readouterr().err)
    assert 202 == send(collector.url, collector.token, body)[0]


@pytest.mark.parametrize("start", [b"POST /api/v1/rep", b"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\n"])
def test_incomplete_headers_are_refused(collector, capfd, start):
    answer = exchange(collector, start, half_close=True)

    assert (400, b"incomplete headers") == (answer.status, answer.body)
    assert "" == capfd.readouterr().err


def test_a_connection_without_a_request_is_closed_silently(collector, capfd):
    started = time.monotonic()
    answer = exchange(collector, half_close=True)

    assert (0, "") == (answer.status, capfd.readouterr().err)
    assert time.monotonic() - started < 4


def test_a_half_closed_connection_gets_all_responses(collector, capfd):
    """Like ``nc -N``: the client stops sending but still reads."""
    body = wire.encode(report(end=time.time()))
    last = head(collector, f"Content-Length: {len(body)}").replace(b"Connection: close\r\n", b"") + body
    first = head(collector, method="GET", path="/login").replace(b"Connection: close\r\n", b"")
    with socket.create_connection(("127.0.0.1", collector.port), timeout=20) as connection:
        connection.sendall(first + last)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk

    assert (401, 1) == (parse(received).status, received.count(b"HTTP/1.1 202"))
    assert (1, "") == (stored(collector), capfd.readouterr().err)


def test_a_body_that_never_arrives_times_out(tmp_path: Path):
    with Collector.running(state_dir=tmp_path, read_seconds=0.3) as collector:
        answer = exchange(collector, head(collector, "Content-Length: 100"), b"{", timeout=5)

        assert (408, {"too slow": 1}) == (answer.status, rejected(collector))
        assert "within 0.3 s" in reason(answer.body)


@pytest.mark.parametrize("start", [b"", b"POST /api/v1/rep", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_request_that_never_arrives_times_out(tmp_path: Path, start):
    with Collector.running(state_dir=tmp_path, read_seconds=0.3) as collector:
        started = time.monotonic()
        answer = exchange(collector, start, timeout=5)

        assert 0 == answer.status
        assert 0.2 < time.monotonic() - started < 4


def test_garbage_is_refused_without_logging(collector, capfd):
    answer = exchange(collector, random.Random(1).randbytes(5_000) + b"\r\n\r\n")
    tls = exchange(collector, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n")

    assert {400} == {answer.status, tls.status}
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "" == capfd.readouterr().err


def test_many_idle_connections_do_not_block_reports(collector, capfd):
    idle = [socket.create_connection(("127.0.0.1", collector.port), timeout=10) for _ in range(300)]
    try:
        status, _ = send(collector.url, collector.token, report(end=time.time()))
    finally:
        for connection in idle:
            connection.close()

    assert (202, "") == (status, capfd.readouterr().err)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_the_reports_route_accepts_only_post(collector, method):
    answer = exchange(collector, head(collector, "Content-Length: 0", method=method))

    assert (405, "POST") == (answer.status, answer.headers["allow"])
    assert f"method {method} is not allowed here; use POST" == reason(answer.body)


def test_the_api_accepts_only_get(collector):
    token = collector.access.login_token
    answer = exchange(collector, head(collector, "Content-Length: 0", path="/api/v1/overview", token=token))

    assert 405 == answer.status
    assert "method POST is not allowed here; use GET or HEAD" == reason(answer.body)


def test_a_store_that_is_damaged_while_serving_is_set_aside_without_a_traceback(collector, capfd):
    send(collector.url, collector.token, report(end=time.time()))
    for path in collector.store.directory.glob("*.sqlite*"):
        path.write_bytes(b"damaged " * (path.stat().st_size // 8))

    status, _ = send(collector.url, collector.token, report(end=time.time(), number=2))
    shown = exchange(
        collector, head(collector, method="GET", path="/api/v1/overview", token=collector.access.login_token)
    )
    page_status, _, page = visitor_of(collector).ask("/")
    output = capfd.readouterr().err

    assert [202, 200, 200] == [status, shown.status, page_status]
    assert ["metrics", "traces"] == [file["kind"] for file in json.loads(shown.body)["damaged"]]
    assert "Traceback" not in output + page


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
