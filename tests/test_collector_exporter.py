"""The built-in exporter, with servers on real sockets that behave like a collector, or like another program on its port."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import warnings
from time import monotonic, perf_counter_ns

import pytest
from attrs import evolve

from scout_core import span, transaction
from scout_core.builtin import posting
from scout_core.builtin.collector import CollectorExporter
from scout_core.config.config import read_config
from scout_core.errors import RejectedReport, ScoutError
from scout_core.measuring.report import SpanRecord, Trace
from scout_core.private_files import private_directory, write_private
from scout_core.sending import agent_thread, period
from scout_core.sending.rendezvous import CollectorAddress, announce
from scout_core.sending.wire import decode
from tests.workbench import (
    TOKEN,
    CollectorSink,
    Sink,
    announced,
    answering,
    environment_for,
    eventually,
    is_balanced,
    read_request,
    running,
    sample_report,
)

ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 18\r\n\r\n{"accepted": true}'


def exporter_for(**settings) -> CollectorExporter:
    return CollectorExporter(read_config(settings, environment={}))


@pytest.fixture
def sink():
    """Return a function that creates sinks; all are closed at the end."""
    sinks: list[Sink] = []

    def create(behave) -> Sink:
        sinks.append(Sink(behave))
        return sinks[-1]

    yield create
    for sink in sinks:
        sink.close()


@pytest.fixture
def short_timeout(monkeypatch):
    """Reduce the timeouts to half a second, to keep the tests fast."""
    monkeypatch.setattr(posting, "TIMEOUT", 0.3)
    monkeypatch.setattr(posting, "LONGEST_EXCHANGE", 0.5)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def trickle(connection: socket.socket) -> None:
    """Answer one byte at a time; quickly and not forever, to keep the test fast."""
    read_request(connection)
    for _ in range(200):
        connection.sendall(b"H")
        threading.Event().wait(0.02)


def trickle_the_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(200):
        connection.sendall(b" ")
        threading.Event().wait(0.02)


def hang_up(connection: socket.socket) -> None:
    """Reset the connection, as a killed process does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def endless(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def endless_headers(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\n")
    while True:
        connection.sendall(b"X-More: " + b"x" * 60_000 + b"\r\n")


# requests


def test_a_report_is_posted_with_the_token_and_arrives_unchanged():
    requests = []

    def listen(connection):
        requests.append(read_request(connection))
        connection.sendall(ACCEPTED)

    sink = Sink(listen)
    report = sample_report()
    try:
        assert None is exporter_for(collector_url=sink.url, collector_token="t0ken").export(report)
    finally:
        sink.close()
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")

    assert "POST /api/v1/reports HTTP/1.1" == lines[0]
    assert {"Authorization: Bearer t0ken", "Content-Type: application/json", f"Content-Length: {len(body)}"} < set(
        lines
    )
    assert report == decode(body)


def test_the_path_of_the_url_is_kept(sink):
    requests = []

    def listen(connection):
        requests.append(read_request(connection).split(b"\r\n")[0])
        connection.sendall(ACCEPTED)

    url = sink(listen).url
    exporter_for(collector_url=f"{url}/scout/").export(sample_report())

    assert [b"POST /scout/api/v1/reports HTTP/1.1"] == requests


def test_a_collector_that_announced_itself_is_found(tmp_path):
    collector = CollectorSink()
    try:
        announced(tmp_path / "state", collector.url)
        exporter_for(state_dir=str(tmp_path / "state")).export(sample_report())
    finally:
        collector.close()

    assert ["0123456789abcdef-1"] == [report.id for report in collector.reports]


def test_a_collector_that_moved_is_found_at_the_next_report(tmp_path):
    exporter = exporter_for(state_dir=str(tmp_path / "state"))
    with pytest.raises(
        RejectedReport, match="no collector has announced itself in .*state; start one with: scout-core up"
    ) as caught:
        exporter.export(sample_report())
    arrived = []
    for number in (1, 2):
        collector = CollectorSink()
        try:
            announced(tmp_path / "state", collector.url)
            exporter.export(sample_report(number))
            arrived += [report.id for report in collector.reports]
        finally:
            collector.close()

    assert "no collector" == caught.value.reason
    assert ["0123456789abcdef-1", "0123456789abcdef-2"] == arrived


def test_a_configured_url_takes_precedence_over_an_announcement(tmp_path):
    announced(tmp_path / "state", f"http://127.0.0.1:{free_port()}")
    collector = CollectorSink()
    try:
        settings = {"state_dir": str(tmp_path / "state"), "collector_url": collector.url, "collector_token": TOKEN}
        exporter_for(**settings).export(sample_report())
    finally:
        collector.close()

    assert 1 == len(collector.reports)


def test_a_proxy_in_the_environment_is_not_used(monkeypatch, sink):
    """The token and the report are only for the collector."""
    monkeypatch.setenv("http_proxy", sink(None).url)
    collector = CollectorSink()
    try:
        exporter_for(collector_url=collector.url, collector_token=TOKEN).export(sample_report())
    finally:
        collector.close()

    assert 1 == len(collector.reports)


# answers


@pytest.mark.parametrize(
    ("answer", "requested_interval"),
    [
        ({"accepted": True, "next_report": 5}, 5),
        ({"accepted": True, "next_report": 0.5}, 0.5),
        ({"accepted": True}, None),
        ({"accepted": True, "next_report": "soon"}, None),
    ],
    ids=str,
)
def test_the_collector_can_request_the_time_until_the_next_report(sink, answer, requested_interval):
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 202 Accepted\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    assert requested_interval == exporter_for(collector_url=sink(answering(head + body)).url).export(sample_report())


def test_an_interim_response_is_skipped(sink):
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + ACCEPTED

    assert None is exporter_for(collector_url=sink(answering(answer)).url).export(sample_report())


@pytest.mark.parametrize(
    "behave",
    [
        answering(b"HTTP/1.1 202 Accepted\r\n\r\n"),
        answering(b"HTTP/1.1 202 Acc"),
        answering(b"HTTP/1.1 202 Accepted\r\nContent-Le"),
        answering(ACCEPTED[:-1]),
        answering(b"HTTP/1.0 202 Accepted\r\n\r\nnot JSON"),
        answering(b"HTTP/1.0 202 Accepted\r\n\r\n[5]"),
        answering(b'HTTP/1.0 202 Accepted\r\n\r\n{"accepted": false}'),
        answering(b"HTTP/1.0 202 Accepted\r\n\r\n\xff\xfe\x00\x01"),
        answering(b"HTTP/1.0 202 Accepted\r\n\r\n" + b"[" * 100_000),
        endless,
    ],
    ids=["empty", "half a status", "half a header", "half a body", "text", "list", "false", "bytes", "deep", "10 GB"],
)
def test_a_report_without_a_complete_answer_is_sent_again(sink, behave):
    """A collector counts it only once, and another program on its port has not counted it."""
    with pytest.raises(
        ConnectionError, match="sent an incomplete answer, or is not a collector|does not answer in HTTP"
    ):
        exporter_for(collector_url=sink(behave).url).export(sample_report())


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 307, 400, 401, 403, 404, 413, 415, 422])
def test_a_report_that_is_not_accepted_is_rejected_with_the_status_as_reason(sink, status):
    """Also 200, which is the answer of another program on the port of a former collector. Redirects are not followed."""
    elsewhere = Sink(None)
    answer = (
        f"HTTP/1.1 {status} Whatever\r\nLocation: {elsewhere.url}\r\nContent-Length: 24\r\n\r\n"
        '{"error": "not allowed"}'
    )
    try:
        with pytest.raises(RejectedReport) as caught:
            exporter_for(collector_url=sink(answering(answer.encode())).url).export(sample_report())
    finally:
        elsewhere.close()

    assert f"collector answered {status}" == caught.value.reason
    assert f"answered {status}: " in str(caught.value)
    assert ("not allowed" in str(caught.value)) == (status != 204)


@pytest.mark.parametrize("status", [401, 421])
def test_a_report_waits_while_another_collector_takes_the_place_of_the_announced_one(tmp_path, sink, status):
    """It listens on the private socket of the former one before it announces its own port and token."""
    refusing = sink(answering(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n".encode()))
    exporter = exporter_for(state_dir=str(tmp_path / "state"))
    announced(tmp_path / "state", refusing.url)
    with pytest.raises(ConnectionError, match=f"answered {status}"):
        exporter.export(sample_report())
    collector = CollectorSink()
    try:
        announced(tmp_path / "state", collector.url)
        exporter.export(sample_report())
    finally:
        collector.close()

    assert ["0123456789abcdef-1"] == [report.id for report in collector.reports]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 507])
def test_a_temporary_error_is_retried(sink, status):
    answer = f'HTTP/1.1 {status} Whatever\r\nContent-Length: 22\r\n\r\n{{"error": "disk full"}}'.encode()

    with pytest.raises(ConnectionError, match=f"answered {status}: disk full"):
        exporter_for(collector_url=sink(answering(answer)).url).export(sample_report())


def test_a_long_error_message_is_truncated(sink):
    body = json.dumps({"error": "x" * 50_000})
    answer = f"HTTP/1.1 400 Bad\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    with pytest.raises(RejectedReport) as caught:
        exporter_for(collector_url=sink(answering(answer)).url).export(sample_report())

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "behave",
    [
        hang_up,
        answering(b""),
        answering(b"SSH-2.0-OpenSSH_9.2\r\n"),
        answering(b"\x00" * 1_000),
        answering(b"HTTP/1.1 abc\r\n\r\n"),
        answering(b"x" * 100_000),
        answering(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        endless_headers,
        None,
        trickle,
        trickle_the_body,
    ],
    ids=[
        "reset", "closes", "SSH", "zeros", "no status", "long line", "bad chunk",
        "endless headers", "silent", "trickle", "trickling body",
    ],
)  # fmt: skip
def test_a_missing_or_incomplete_answer_times_out_and_is_retried(sink, short_timeout, behave):
    exporter = exporter_for(collector_url=sink(behave).url)
    begin = monotonic()

    with pytest.raises(OSError, match=r".*"):
        exporter.export(sample_report())

    assert monotonic() - begin < 10


def test_a_refused_connection_is_retried(tmp_path):
    announced(tmp_path / "state", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(ConnectionRefusedError):
        exporter_for(state_dir=str(tmp_path / "state")).export(sample_report())


def test_a_receiver_that_does_not_read_a_large_report_times_out(sink, short_timeout):
    """Only the kernel accepts the connection, and it takes what fits into its buffers."""
    big = sample_report(transactions=0)
    big = evolve(big, transactions=tuple(evolve(big.transactions[0], name="x" * 1_000 + str(n)) for n in range(10_000)))
    begin = monotonic()

    with pytest.raises(TimeoutError):
        exporter_for(collector_url=sink(None).url).export(big)

    assert monotonic() - begin < 20


@pytest.mark.parametrize(
    "url", ["127.0.0.1:7600", "localhost", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:port", "http://[::1"]
)
def test_an_invalid_url_is_not_posted_to(url):
    with pytest.raises(ValueError, match=r"is not a URL such as http://127.0.0.1:7600|[Pp]ort|Invalid IPv6 URL"):
        posting.post(url, "/", headers={}, body=b"")


def test_a_report_that_cannot_be_encoded_is_rejected(sink):
    with pytest.raises(RejectedReport, match="cannot be encoded") as caught:
        exporter_for(collector_url=sink(None).url).export(sample_report(start=float("nan")))

    assert "cannot be encoded" == caught.value.reason


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


class Raising(dict):
    """A value that a hook could have left in a report."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(a=1)
        self.error = error

    def items(self):
        raise self.error


def deep() -> dict:
    facts: dict = {}
    for _ in range(100_000):
        facts = {"a": facts}
    return facts


def cyclic() -> dict:
    facts: dict = {}
    facts["a"] = facts
    return facts


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"bytes",
        float("nan"),
        float("-inf"),
        deep(),
        cyclic(),
        {("a", "tuple"): 1},
        Raising(KeyError("plan")),
        Raising(RecursionError()),
        Raising(OverflowError()),
        Raising(AttributeError("x")),
        Raising(Unprintable()),
        10**5_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_report_that_cannot_be_encoded_is_dropped_and_the_next_one_arrives(value):
    """Whatever the exception is: sending it again would raise it again."""
    collector = CollectorSink()
    exporter = exporter_for(collector_url=collector.url, collector_token=TOKEN)
    bad = evolve(sample_report(), start=value)
    try:
        with pytest.raises(RejectedReport) as caught:
            exporter.export(bad)
        exporter.export(sample_report(2))
    finally:
        collector.close()

    assert "cannot be encoded" == caught.value.reason
    assert ["0123456789abcdef-2"] == [report.id for report in collector.reports]


ODD = [
    object(), {1, 2}, b"bytes", float("nan"), float("-inf"), deep(), cyclic(), {("a", "tuple"): 1},
    Raising(KeyError("plan")), Raising(Unprintable()), 10**5_000, "\ud800",
]  # fmt: skip


def test_values_that_cannot_be_encoded_cost_their_report_nothing(tmp_path):
    """Wherever an application can put them: each is shown as a text, or left out, and everything around it arrives."""
    collector = CollectorSink()
    settings = {
        "state_dir": str(tmp_path),
        "collector_url": collector.url,
        "collector_token": TOKEN,
        "report_period": "1h",
    }
    try:
        with running(plugins_enable=("age", "collector"), **settings) as agent:
            for number, odd in enumerate(ODD):
                with transaction(f"Job/{number}", odd=odd) as job, span("SQL/Query", odd=odd, statement=odd):
                    job.tag(odd if number % 2 else "later", odd)
                    job.record_error(ValueError(odd))
            with transaction("Controller/home"):
                pass
        counters = agent.counters("collector")
    finally:
        collector.close()

    expected = {**{f"Job/{number}": 1 for number in range(len(ODD))}, "Controller/home": 1}
    assert expected == {metrics.name: metrics.count for report in collector.reports for metrics in report.transactions}
    assert (len(ODD) + 1, {}) == (counters.exported, counters.dropped)
    assert len(ODD) == sum(group.count for report in collector.reports for group in report.error_groups)
    tags = [trace.tags["odd"] for report in collector.reports for trace in report.traces if "odd" in trace.tags]
    assert tags
    assert {type(tag) for tag in tags} <= {str, type(None)}


def test_a_report_is_kept_when_there_is_too_little_memory_to_encode_it(sink):
    with pytest.raises(MemoryError):
        exporter_for(collector_url=sink(None).url).export(evolve(sample_report(), start=Raising(MemoryError())))


# the announcement


def open_files_until_refused() -> list[int]:
    found = []
    while True:
        try:
            found.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return found


def test_reports_wait_while_the_process_has_too_many_open_files(tmp_path):
    """They were dropped as ``no collector``."""
    collector = CollectorSink()
    exporter = exporter_for(state_dir=str(tmp_path / "state"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    try:
        announced(tmp_path / "state", collector.url)
        exporter.export(sample_report(1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        opened = open_files_until_refused()
        with pytest.raises(OSError, match="Too many open files") as caught:
            exporter.export(sample_report(2))
        for descriptor in opened:
            os.close(descriptor)
        opened = []
        exporter.export(sample_report(2))
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        collector.close()

    assert not isinstance(caught.value, RejectedReport)
    assert ["0123456789abcdef-1", "0123456789abcdef-2"] == [report.id for report in collector.reports]


@pytest.mark.parametrize("text", ["", '{"url": "http://127.0', "[]"])
def test_reports_wait_while_the_announcement_is_incomplete(tmp_path, text):
    exporter = exporter_for(state_dir=str(tmp_path / "state"))
    announced(tmp_path / "state", "http://127.0.0.1:1")
    (tmp_path / "state" / "collector.json").write_text(text, encoding="utf-8")

    with pytest.raises(ScoutError, match="is not an announcement of a collector: .*; restart it") as caught:
        exporter.export(sample_report())

    assert not isinstance(caught.value, RejectedReport)


@pytest.mark.skipif(os.geteuid() == 0, reason="not with the rights of root, who may read everything")
def test_reports_wait_while_the_state_directory_cannot_be_entered(tmp_path):
    exporter = exporter_for(state_dir=str(tmp_path / "state"))
    (tmp_path / "state").mkdir(mode=0o000)
    try:
        with pytest.raises(PermissionError):
            exporter.export(sample_report())
    finally:
        (tmp_path / "state").chmod(0o700)


def test_no_connection_is_left_open(sink, short_timeout):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for behave in (
            answering(ACCEPTED),
            answering(b"HTTP/1.0 202 Accepted\r\n\r\n"),
            answering(b"garbage"),
            hang_up,
            trickle,
        ):
            try:
                exporter_for(collector_url=sink(behave).url).export(sample_report())
            except OSError:
                continue
        gc.collect()

    assert [] == [str(warning.message) for warning in caught if warning.category is ResourceWarning]


# reports that are too large


class LimitedSink(Sink):
    """A collector with a limit, which it announces or not, in JSON or as a proxy does."""

    def __init__(self, limit: int, announce: object, *, page: bytes | None = None) -> None:
        self.limit, self.announce, self.page = limit, announce, page
        self.sizes: list[int] = []
        self.reports: list = []
        super().__init__(self._receive)

    def _receive(self, connection: socket.socket) -> None:
        body = read_request(connection).partition(b"\r\n\r\n")[2]
        self.sizes.append(len(body))
        answer = {"max_report_bytes": self.announce} if self.announce is not None else {}
        if len(body) > self.limit:
            text = self.page or json.dumps({"error": "too large", **answer}).encode()
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
            return
        self.reports.append(decode(body))
        text = json.dumps({"accepted": True, **answer}).encode()
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


def large_report(number: int = 1, *, transactions: int = 312):
    """Return a report with ten traces of about 20,000 bytes each; the scores are 1 to 10."""
    record = SpanRecord(
        id=1, parent=0, operation="SQL/Query", start=0.0, duration=0.1, tags={f"t{n}": "x" * 2_000 for n in range(10)}
    )
    traces = tuple(
        Trace(
            id=f"{number * 100 + score:016x}", name="Controller/home", start=1e9, duration=0.1, queue_time=None, is_error=False,
            error=None, tags={}, score=float(score), policies={}, spans=(record,),
        )
        for score in (3, 9, 1, 2, 4, 5, 6, 8, 7, 10)
    )  # fmt: skip
    return sample_report(number, transactions=transactions, traces=traces)


def delivered(limit: int, announce: object, **options):
    """Return the sink and the result after a large report."""
    sink = LimitedSink(limit, announce, **options)
    try:
        result = exporter_for(collector_url=sink.url).export(large_report())
    finally:
        sink.close()
    return sink, result


@pytest.mark.parametrize("limit", [150_000, 50_000, 5_000])
def test_a_report_is_cut_to_the_limit_that_the_collector_announces(limit):
    """It was dropped, with the figures of all requests."""
    sink, result = delivered(limit, limit)
    (report,) = sink.reports

    assert 2 == len(sink.sizes)
    assert limit - 21_000 < sink.sizes[-1] <= limit
    assert 312 == report.transactions[0].count
    kept = len(report.traces)
    assert {*range(11 - kept, 11)} == {trace.score for trace in report.traces}
    assert {"traces": 10 - kept} == report.left_out == result.left_out


@pytest.mark.parametrize(
    "rubbish",
    [None, 0, -5, 1, True, "many", 1.5e5, [150_000], {}, float("inf"), 10**400, 10**12],
    ids=lambda value: str(value)[:12],
)
def test_an_unusable_limit_is_ignored_and_the_report_cut_by_halves(rubbish):
    sink, _ = delivered(60_000, rubbish)

    assert 312 == sink.reports[0].transactions[0].count
    assert 1 <= len(sink.reports[0].traces) <= 2
    assert len(sink.sizes) <= 4


def test_a_proxy_that_accepts_less_is_found_out():
    sink, _ = delivered(60_000, None, page=b"<html>413 Request Entity Too Large</html>")

    assert 312 == sink.reports[0].transactions[0].count


def test_a_report_that_is_refused_even_without_traces_is_dropped():
    sink = LimitedSink(100, None)
    try:
        with pytest.raises(RejectedReport) as caught:
            exporter_for(collector_url=sink.url).export(large_report())
    finally:
        sink.close()

    assert "collector answered 413" == caught.value.reason
    assert len(sink.sizes) < 12


def test_the_limit_of_an_answer_holds_for_the_next_report():
    sink = LimitedSink(50_000, 50_000)
    exporter = exporter_for(collector_url=sink.url)
    try:
        for number in (1, 2, 3):
            exporter.export(large_report(number))
    finally:
        sink.close()

    assert 4 == len(sink.sizes), "only the first report was too large"
    assert [2, 2, 2] == [len(report.traces) for report in sink.reports]


def test_the_limit_of_an_announcement_holds_for_the_first_report(tmp_path):
    sink = LimitedSink(50_000, None)
    try:
        announce(tmp_path, CollectorAddress(url=sink.url, token=TOKEN, pid=1, max_report_bytes=50_000))
        exporter_for(state_dir=str(tmp_path)).export(large_report())
    finally:
        sink.close()

    assert 1 == len(sink.sizes)
    assert 2 == len(sink.reports[0].traces)


@pytest.mark.parametrize("limit", [0, -1, "many", True, None, 4_095, [], 10**400])
def test_an_unusable_limit_in_an_announcement_is_ignored(tmp_path, limit):
    sink = LimitedSink(10**9, None)
    try:
        facts = {"url": sink.url, "token": TOKEN, "pid": 1, "max_report_bytes": limit}
        write_private(private_directory(tmp_path / "state") / "collector.json", json.dumps(facts))
        exporter_for(state_dir=str(tmp_path / "state")).export(large_report())
    finally:
        sink.close()

    assert 10 == len(sink.reports[0].traces)


def test_an_answer_is_read_when_the_body_is_refused_early(sink):
    """The server closes without reading the rest, so sending it fails."""

    def refuse_early(connection):
        connection.recv(1_000)
        text = b'{"error": "too large", "max_report_bytes": 5000}'
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        connection.shutdown(socket.SHUT_RDWR)

    big = evolve(large_report(), traces=large_report().traces[:1] * 200)
    with pytest.raises((RejectedReport, ConnectionError)) as caught:
        exporter_for(collector_url=sink(refuse_early).url).export(big)

    assert "413" in str(caught.value) or isinstance(caught.value, ConnectionError)


# applications


@pytest.mark.parametrize(
    "behave",
    [None, trickle, hang_up, answering(b"garbage"), answering(b"HTTP/1.1 507 Full\r\n\r\n"), endless],
    ids=["black hole", "trickle", "reset", "garbage", "full", "10 GB"],
)
def test_the_applications_thread_never_waits_for_a_receiver(sink, behave, monkeypatch):
    """It only appends: the median and the total time of 3,000 transactions are limited, with a report every 20 ms."""
    monkeypatch.setattr(agent_thread, "TICK", 0.005)
    monkeypatch.setattr(period, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr("scout_core.sending.outbox.pause_after", lambda failures: 0.01)
    settings = {"collector_url": sink(behave).url, "plugins_enable": ("collector",), "report_period": 0.02}
    with running(**settings) as agent:
        with transaction("Controller/home"):
            pass
        eventually(lambda: agent.recorder.open_period.reports)
        durations = []
        for _ in range(3_000):
            begin_ns = perf_counter_ns()
            with transaction("Controller/home"), span("SQL/Query"):
                pass
            durations.append(perf_counter_ns() - begin_ns)
        assert is_balanced(agent, "collector")
        agent.stop(0.2)
        counters = agent.counters("collector")

    durations.sort()
    assert durations[1_500] < 100_000, "nanoseconds; the budget is a few thousand"
    assert sum(durations) < 2e9
    assert 3_001 == counters.finished == counters.exported + sum(counters.dropped.values())


def test_waiting_reports_arrive_when_the_collector_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(agent_thread, "TICK", 0.005)
    monkeypatch.setattr(period, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr("scout_core.sending.outbox.pause_after", lambda failures: 0.01)
    announced(tmp_path / "state", f"http://127.0.0.1:{free_port()}")
    settings = {"state_dir": str(tmp_path / "state"), "plugins_enable": ("collector",), "report_period": 0.02}
    collector = CollectorSink()
    try:
        with running(**settings) as agent:
            for _ in range(5):
                with transaction("Controller/home"):
                    pass
                reports = agent.recorder.open_period.reports
                eventually(lambda before=reports: agent.recorder.open_period.reports > before)
            assert 0 == agent.counters("collector").exported
            announced(tmp_path / "state", collector.url)
            eventually(lambda: agent.counters("collector").exported == 5)
    finally:
        collector.close()

    assert 5 == collector.counted
    assert 0 == collector.refused


def test_reports_wait_while_the_collector_answers_500_and_are_all_counted_once_it_works(monkeypatch):
    """However often: 200 answers are three hours of pauses."""
    monkeypatch.setattr(agent_thread, "TICK", 0.005)
    monkeypatch.setattr(period, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr("scout_core.sending.outbox.pause_after", lambda failures: 0.001)
    reports, answers = [], iter([500, 503, 502, 429] * 50)

    def answer(connection):
        body = read_request(connection).partition(b"\r\n\r\n")[2]
        status = next(answers, 202)
        if status == 202:
            reports.append(decode(body))
        text = b'{"accepted": true}' if status == 202 else b"<html>Internal Server Error</html>"
        connection.sendall(b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n" % (status, len(text)) + text)

    sink = Sink(answer)
    try:
        with running(collector_url=sink.url, plugins_enable=("collector",)) as agent:
            for _ in range(5):
                with transaction("Controller/home"):
                    pass
            eventually(lambda: agent.counters("collector").exported, 60)
            agent.stop(20)
            status = {status.name: status for status in agent.plugin_statuses()}["collector"]
            dropped = agent.counters("collector").dropped
    finally:
        sink.close()

    assert ({}, 5) == (dropped, sum(metrics.count for report in reports for metrics in report.transactions))
    assert len({report.id for report in reports}) == len(reports)
    assert status.errors >= 200
    assert "answered " in status.last_error
    assert [] == [problem for problem in status.problems if problem.kind == "export-failed"]


def test_errors_are_logged_without_the_token(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(agent_thread, "TICK", 0.005)
    monkeypatch.setattr(period, "FIRST_PERIOD", 0.02)
    caplog.set_level(logging.INFO, "scout_core")
    url = f"http://127.0.0.1:{free_port()}"
    settings = {"collector_url": url, "collector_token": "s3cret-of-the-collector", "plugins_enable": ("collector",)}
    with running(**settings):
        with transaction("Controller/home"):
            pass
        eventually(lambda: "reports wait and are sent again" in caplog.text)

    assert "s3cret" not in caplog.text


ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 18\r\n\r\n{"accepted": true}'


def test_a_process_that_sends_reports_does_not_import_cattrs(tmp_path, sink):
    """It would cost each process 3 MB of memory and 60 ms of CPU time; only those who read reports need it."""
    source = """
import sys, scout_core
agent = scout_core.start()
before = "scout_core.measuring.report" in sys.modules
with scout_core.transaction("Controller/home"):
    pass
scout_core.stop()
print(before, agent.counters("collector").exported, "cattrs" in sys.modules)
"""
    environment = environment_for(tmp_path / "state") | {
        "SCOUT_COLLECTOR_URL": sink(answering(ACCEPTED)).url,
        "SCOUT_COLLECTOR_TOKEN": "none",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ("False 1 False\n", "") == (done.stdout, done.stderr)


def test_no_http_modules_are_imported_without_a_collector(tmp_path):
    """They would cost half a megabyte of memory and a tenth of a second of CPU time."""
    source = """
import sys, scout_core
scout_core.start()
with scout_core.transaction("Controller/home"):
    pass
scout_core.stop()
print(sorted({"http.client", "cattrs", "ssl", "scout_core.sending.wire"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        env=environment_for(tmp_path / "state"), cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert ("[]\n", "") == (done.stdout, done.stderr)


def test_reports_wait_when_the_collector_that_took_one_has_ended(tmp_path):
    """They were dropped as ``no collector`` while a dashboard was restarted."""
    exporter = exporter_for(state_dir=str(tmp_path / "state"))
    first, second = CollectorSink(), CollectorSink()
    try:
        announced(tmp_path / "state", first.url)
        exporter.export(sample_report(1))
        (tmp_path / "state" / "collector.json").unlink()
        with pytest.raises(ConnectionError, match="has ended; start another one with: scout-core up"):
            exporter.export(sample_report(2))
        announced(tmp_path / "state", second.url)
        exporter.export(sample_report(2))
    finally:
        first.close()
        second.close()

    assert [["0123456789abcdef-1"], ["0123456789abcdef-2"]] == [
        [report.id for report in sink.reports] for sink in (first, second)
    ]
