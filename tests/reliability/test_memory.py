"""Memory does not grow with the number of requests, whatever they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.sizes import size
from tests.workbench import Sink, announced, answering, run_app

COMMON = """
import gc, os, sys, time
gc.disable()  # finished transactions must be freed without the collector, which applications disable or run rarely
import scout_core
from scout_core import span, transaction
from scout_core.recording.span import Span
from scout_core.sending import agent_thread

agent_thread.TICK = 0.001  # the application waits for the agent below
agent = scout_core.start(report_period=0.2, plugins={plugins!r})


def keep_pace():
    while len(agent.tracer.inbox) > 2000:
        time.sleep(0.001)


def kib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def measure(load, warm_up, count):
    load(warm_up)
    before = kib()
    load(count)
    after = kib()
    while agent.tracer.inbox or agent.ledger.in_hand:
        time.sleep(0.001)
    counters = agent.counters("collector")
    scout_core.stop(30)
    print(after - before, counters.finished, counters.names_merged, counters.dropped.get("inbox full", 0))
    print(sum(isinstance(found, Span) for found in gc.get_objects()))
"""

BY_HAND = """
def load(count):
    for number in range(count):
        try:
            with transaction(f"Controller/{number % 3000}", user=number) as web:
                with span("SQL/Query", statement=f"select {number}"):
                    pass
                if number % 10 == 0:
                    raise KeyError(number)
                if number % 10 == 1:
                    web.ignore()
                if number % 100 == 2:
                    span("SQL/abandoned").__enter__()
        except KeyError:
            pass
        if number % 500 == 0:
            keep_pace()
"""

IN_FLASK = """
import io, logging
from flask import Flask, Response

logging.disable(logging.CRITICAL)
app = Flask("shop")


@app.route("/item/<int:number>")
def item(number):
    with span("SQL/Query", statement=f"select {number}"):
        pass
    if number % 10 == 0:
        raise KeyError(number)
    if number % 100 == 1:
        span("SQL/abandoned").__enter__()
    if number % 100 == 2:
        return Response(part for part in (b"tea", b"pot"))
    return "tea"


def load(count):
    environ = {"REQUEST_METHOD": "GET", "SERVER_NAME": "shop", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
               "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": "page=2", "REMOTE_ADDR": "127.0.0.1"}
    for number in range(count):
        asked = {**environ, "PATH_INFO": f"/item/{number}", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr}
        body = app.wsgi_app(asked, lambda status, headers, info=None: None)
        if number % 100 == 2:
            next(iter(body))  # and the client is gone
        else:
            b"".join(body)
        body.close()
        if number % 500 == 0 or number == count - 1:
            keep_pace()
            gc.collect()  # Flask itself leaves cycles
"""


@pytest.fixture
def sink(tmp_path):
    """A receiver that accepts every report and keeps none."""
    sink = Sink(answering(b'HTTP/1.1 202 Accepted\r\nContent-Length: 18\r\n\r\n{"accepted": true}'))
    announced(tmp_path / "state", sink.url)
    yield sink
    sink.close()


WARM_UP = size(110_000, 200_000)
ON_TOP = size(90_000, 800_000)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason=f"not on {sys.platform}: memory of a process")
def test_memory_is_flat_over_many_transactions(tmp_path, record_property):
    """With names beyond the limit, errors, ignored transactions, spans left open, kept traces, and the collector disabled."""
    source = COMMON.format(plugins=[]) + BY_HAND + f"measure(load, {WARM_UP}, {ON_TOP})"
    done = run_app(source, tmp_path / "state", seconds=size(100, 3_600))

    assert (0, "") == (done.code, done.err)
    more_kib, finished, merged, refused, alive = map(int, done.out.split())
    record_property("transactions", f"{finished}; memory after the first {WARM_UP}: {more_kib:+} KiB")
    assert (WARM_UP + ON_TOP, 0) == (finished, refused)
    assert merged > 0
    assert more_kib < 2_048
    assert alive <= 3, "the placeholders for finished and ignored transactions"


REQUESTS = size(4_000, 800_000)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason=f"not on {sys.platform}: memory of a process")
def test_memory_is_flat_over_many_requests_to_flask(sink, tmp_path, record_property):
    """One in ten fails, one in a hundred leaves a span open, and of one in a hundred the client leaves before the end."""
    pytest.importorskip("scout_flask", reason="not with the core only: scout-flask is missing")
    source = COMMON.format(plugins=["scout_flask"]) + IN_FLASK + f"measure(load, {size(4_000, 200_000)}, {REQUESTS})"
    done = run_app(source, tmp_path / "state", seconds=size(100, 7_200))

    assert (0, "") == (done.code, done.err)
    more_kib, finished, _, refused, alive = map(int, done.out.split())
    record_property("requests to Flask", f"{finished}; memory after the warm-up: {more_kib:+} KiB")
    assert (size(4_000, 200_000) + REQUESTS, 0) == (finished, refused)
    assert more_kib < 2_048
    assert alive <= 3
