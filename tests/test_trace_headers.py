"""Traces that go on in other services: where a transaction's trace comes from, and what a call sends on."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Barrier

import pytest

from scout_core import WebRequest, hookimpl, span, trace_headers, transaction
from scout_core.recording.trace.context import read_context
from scout_core.testing import recording
from tests.workbench import plugin, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
ONLY_THESE = {"plugins_autoload": False, "plugins_enable": ["ignoring", "sampling"]}


def parent(flags: str = "01") -> str:
    return f"00-{TRACE}-{CALLER}-{flags}"


@pytest.fixture
def agent():
    with running(threaded=False) as agent:
        yield agent


def sent(to: str | None = None) -> tuple[str, str, str]:
    """Trace id, span id and flags that a call sends now."""
    version, *parts = trace_headers(to)["traceparent"].split("-")
    assert "00" == version
    return tuple(parts)


def test_without_an_agent_and_outside_a_transaction_nothing_is_sent():
    assert {} == trace_headers()
    with transaction("Job/a") as job:
        assert ({}, "", "", "") == (trace_headers(), job.trace_id, job.span_id, job.parent_span_id)
    with running(threaded=False):
        assert {} == trace_headers()
        with span("SQL/Query") as query:
            assert ({}, "") == (trace_headers(), query.span_id)


def test_a_transaction_begins_a_trace(agent):
    before = transaction("Job/a")
    assert ("", "") == (before.trace_id, before.span_id)
    with before as job:
        assert re.fullmatch("[0-9a-f]{32}", job.trace_id)
        assert (job.trace_id, job.span_id, "03") == sent()
        assert {"traceparent"} == trace_headers().keys()
        assert (f"{job.id:016x}", job.trace_id[:16], "") == (job.span_id, job.span_id, job.parent_span_id)
        first = job.trace_id
    with transaction("Job/b") as other:
        pass

    assert first == job.trace_id
    assert first[:16] != other.trace_id[:16]
    assert first[16:] != other.trace_id[16:]


def test_the_innermost_open_span_is_the_caller(agent):
    with transaction("Job/a") as job:
        with span("HTTP/GET") as call:
            assert (job.trace_id, call.span_id, "03") == sent()
            with span("HTTP/GET") as again:
                assert again.span_id == sent()[1]
            assert call.span_id == sent()[1]
        assert job.span_id == sent()[1]

    ids = [job.span_id, call.span_id, again.span_id]
    assert len({*ids}) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", found) for found in ids)


def test_a_transaction_inside_another_one_is_a_part_of_its_trace(agent):
    with transaction("Job/a") as outer, transaction("Job/b").continue_from({"traceparent": parent()}) as inner:
        assert outer.trace_id == inner.trace_id == sent()[0]
        assert inner.span_id == sent()[1] != outer.span_id


@pytest.mark.parametrize("flags, passed_on", [("01", "01"), ("00", "00"), ("03", "03"), ("02", "02"), ("ff", "03")])
def test_the_trace_of_a_caller_goes_on(agent, flags, passed_on):
    """A caller that has not sampled hands on that decision, although this part is recorded."""
    with transaction("Job/a").continue_from({"traceparent": parent(flags), "tracestate": "congo=1"}) as job:
        assert (TRACE, CALLER, f"{job.id:016x}") == (job.trace_id, job.parent_span_id, job.span_id)
        assert {"traceparent": f"00-{TRACE}-{job.span_id}-{passed_on}", "tracestate": "congo=1"} == trace_headers()

    assert [job] == list(agent.tracer.inbox)


def visit(environ, operation="Controller/cart"):
    web = transaction(operation)
    web.environ = environ
    return web


def test_a_web_request_continues_the_trace_of_its_headers(agent):
    with visit({"PATH_INFO": "/cart", "HTTP_TRACEPARENT": parent(), "HTTP_TRACESTATE": "a=1,b=2"}) as web:
        assert TRACE == web.trace_id
        assert "a=1,b=2" == trace_headers()["tracestate"]
    late = transaction("Controller/late")
    with late:
        late.request = WebRequest("/", "", traceparent=parent())
        assert TRACE == late.trace_id
    with visit({"PATH_INFO": "/cart", "HTTP_TRACEPARENT": f"{parent()},{parent()}", "HTTP_TRACESTATE": "a=1"}) as web:
        assert TRACE != web.trace_id
        assert {"traceparent"} == trace_headers().keys()


def test_headers_that_are_given_count_more_than_those_of_the_request(agent):
    other = TRACE[::-1]
    with visit({"HTTP_TRACEPARENT": parent()}).continue_from({"traceparent": f"00-{other}-{CALLER}-01"}) as web:
        assert other == web.trace_id


def test_once_a_trace_has_been_asked_for_it_stays(agent):
    with transaction("Job/a") as job:
        found = job.trace_id
        job.continue_from({"traceparent": parent()})
        assert found == job.trace_id
    with transaction("Job/b") as job:
        job.continue_from({"traceparent": parent()}).continue_from({"traceparent": parent().replace("4", "5")})
        assert TRACE == job.trace_id


@pytest.mark.parametrize(
    "settings, path",
    [({"sample_rate": 0}, "/"), ({"ignore": "/health"}, "/health"), ({"ignore_endpoints": "cart"}, "/")],
    ids=str,
)
def test_what_is_not_recorded_passes_the_trace_on_without_the_flag(settings, path):
    with running(threaded=False, **ONLY_THESE, **settings) as agent:
        with visit({"PATH_INFO": path, "HTTP_TRACEPARENT": parent("03"), "HTTP_TRACESTATE": "a=1"}) as web:
            if "ignore_endpoints" in settings:
                web.ignore()
            with span("HTTP/GET"):
                calls = [sent(), sent()]
            assert "a=1" == trace_headers()["tracestate"]
        with visit({"PATH_INFO": path}) as web:
            web.ignore()
            own, _, flags = sent()

        assert [(TRACE, "02")] * 2 == [(trace, flags) for trace, _, flags in calls]
        assert len({CALLER, *(caller for _, caller, _ in calls)}) == 3
        assert (web.trace_id, "02") == (own, flags)
        assert not agent.tracer.inbox


def test_an_ended_transaction_sends_nothing(agent):
    with transaction("Job/a"), span("HTTP/GET"):
        later = copy_context()

    assert {} == later.run(trace_headers)


def test_a_hook_sends_nothing_of_the_transaction_that_it_is_called_for():
    found = []

    @hookimpl
    def on_span(span):
        found.append(trace_headers())

    with running(plugin(on_span=on_span), threaded=False), transaction("Job/a"), span("SQL/Query"):
        pass

    assert [{}] == found


@pytest.mark.parametrize(
    "settings, to, is_sent",
    [
        ({}, "https://a.example/", True),
        ({}, "https://a.example/?X-Amz-Signature=1", False),
        ({"trace_hosts": "*.shop.example, localhost:80"}, "https://api.shop.example/", True),
        ({"trace_hosts": "*.shop.example, localhost:80"}, "http://localhost/", True),
        ({"trace_hosts": "*.shop.example, localhost:80"}, "http://localhost:81/", False),
        ({"trace_hosts": "*.shop.example, localhost:80"}, None, True),
        ({"trace_hosts": ""}, "http://localhost:81/", False),
        ({"trace_hosts_exclude": "*.pay.example"}, "https://api.pay.example/", False),
        ({"trace_hosts_exclude": "*.pay.example"}, "https://shop.example/", True),
    ],
)
def test_hosts_can_be_listed_and_excluded(settings, to, is_sent):
    with running(threaded=False, **settings), transaction("Job/a"):
        assert is_sent is bool(trace_headers(to))


class Broken:
    def __getattribute__(self, name):
        raise ValueError(name)

    def __iter__(self):
        raise OSError("unreadable")


@pytest.mark.parametrize(
    "headers", [Broken, lambda: 5, lambda: [5], lambda: [("traceparent",)], object, lambda: "traceparent"]
)
def test_headers_that_cannot_be_read_are_counted_and_begin_a_new_trace(agent, headers):
    with transaction("Job/a").continue_from(headers()) as job:
        assert re.fullmatch("[0-9a-f]{32}", job.trace_id)

    assert 1 == agent.tracer.invalid_values


def test_no_headers_are_no_mistake(agent):
    for headers in (None, {}, [], {"traceparent": ""}, {"traceparent": "x"}):
        with transaction("Job/a").continue_from(headers) as job:
            assert job.parent_span_id == ""

    assert 0 == agent.tracer.invalid_values


def test_what_a_signal_handler_raises_passes(agent):
    class Interrupting(dict):
        def items(self):
            signal.raise_signal(signal.SIGUSR1)

    def handler(number, frame):
        raise TimeoutError("request")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(TimeoutError):
            transaction("Job/a").continue_from(Interrupting())
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "name, value", [("id", "x"), ("started", "x"), ("own_request", 5), ("tracer", None), ("transaction", 5)]
)
def test_attributes_that_the_application_has_spoiled_do_not_reach_it(agent, name, value):
    with transaction("Job/a") as job:
        before = getattr(job, name)
        setattr(job, name, value)
        try:
            assert isinstance(trace_headers("http://a.example/"), dict)
        finally:
            setattr(job, name, before)


def test_threads_that_ask_at_once_get_the_same_ids(agent):
    count = 8
    together = Barrier(count, timeout=30)

    def ask(job, call):
        together.wait()
        return job.trace_id, call.span_id

    with ThreadPoolExecutor(count) as pool:
        for _ in range(20):
            with transaction("Job/a") as job, span("HTTP/GET") as call:
                assert 1 == len({*pool.map(ask, [job] * count, [call] * count)})


def test_ids_stay_when_the_transaction_is_evaluated_and_freed():
    with recording() as scout:
        with transaction("Job/a").continue_from({"traceparent": parent()}) as job, span("HTTP/GET") as call:
            before = call.span_id
        assert [(TRACE, CALLER, job.span_id)] == [
            (seen.trace_id, seen.parent_span_id, seen.span_id) for seen in scout.transactions
        ]
        assert [before] == [seen.span_id for seen in scout.spans]
        gc.collect()

        assert (TRACE, before, f"{job.id:016x}") == (job.trace_id, call.span_id, job.span_id)


def test_a_kept_trace_has_the_ids():
    with recording() as scout:
        with transaction("Job/a").continue_from({"traceparent": parent()}) as job:
            with span("SQL/Query"):
                pass
            with span("HTTP/GET") as call:
                trace_headers()
        (kept,) = scout.traces()
    assert (TRACE, CALLER) == (kept.trace_id, kept.parent_span_id)
    assert f"{job.id:016x}" == kept.id
    assert 2 == kept.calls[call.span_id]
    again = transaction.from_trace(kept)
    assert (TRACE, CALLER, job.span_id) == (again.trace_id, again.parent_span_id, again.span_id)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not on Windows")
def test_a_child_that_is_forked_within_a_transaction_continues_its_trace():
    program = """
import os, sys
import scout_core
from scout_core import trace_headers, transaction

scout_core.start(plugins_autoload=False)
with transaction("Job/a") as job:
    asked = job.trace_id if "asked" in sys.argv else None
    if os.fork() == 0:
        print(job.trace_id)
        with transaction("Job/child") as child:
            print(child.trace_id[16:])
        os._exit(0) if sys.stdout.flush() is None else None
    os.wait()
    print(job.trace_id, flush=True)
scout_core.stop()
"""
    for arguments in ([], ["asked"]):
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)
        assert 0 == done.returncode, done.stderr
        in_child, _, in_parent = done.stdout.split()
        assert in_child == in_parent


def test_what_is_sent_can_be_read(agent):
    with transaction("Job/a") as job, span("HTTP/GET") as call:
        context = read_context(trace_headers()["traceparent"])

    assert (job.trace_id, call.span_id, 3) == context[:3]


def test_callers_that_are_not_trusted_choose_no_trace_of_a_web_request():
    with running(threaded=False, trust_incoming_trace=False):
        with visit({"HTTP_TRACEPARENT": parent(), "HTTP_TRACESTATE": "a=1"}) as web:
            assert (web.trace_id, "03") == sent()[::2]
            assert {"traceparent"} == trace_headers().keys()
        asked = transaction("Controller/asked").continue_from({"traceparent": parent()})
        with asked:
            pass
        with transaction("Controller/late") as late:
            late.request = WebRequest("/", "", traceparent=parent())
            late.continue_from({"traceparent": parent()})
        assert 3 == len({web.trace_id, asked.trace_id, late.trace_id} - {TRACE})
        assert ["", "", ""] == [found.parent_span_id for found in (web, asked, late)]


def test_callers_that_are_not_trusted_choose_no_trace_of_an_ignored_request():
    with running(threaded=False, trust_incoming_trace=False, ignore=["/cart"], **ONLY_THESE):
        with visit({"HTTP_TRACEPARENT": parent(), "PATH_INFO": "/cart"}) as web:
            assert web.ignored is not None
            assert TRACE != sent()[0]


def test_jobs_continue_the_trace_of_their_message_also_where_callers_are_not_trusted():
    with running(threaded=False, trust_incoming_trace=False):
        with transaction("Job/mail").continue_from({"traceparent": parent()}) as job:
            assert (TRACE, CALLER) == (job.trace_id, job.parent_span_id)


def test_the_environment_decides_whether_callers_are_trusted():
    code = (
        "import scout_core\n"
        "scout_core.start()\n"
        "with scout_core.transaction('Controller/a').continue_from({'traceparent': '" + parent() + "'}) as web:\n"
        "    print(web.trace_id)\n"
        "scout_core.stop()\n"
    )
    traces = []
    for trusted in ("true", "false"):
        environment = {**os.environ, "SCOUT_TRUST_INCOMING_TRACE": trusted, "SCOUT_PLUGINS_AUTOLOAD": "false"}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        traces.append(ran.stdout.strip())
    assert TRACE == traces[0]
    assert re.fullmatch("[0-9a-f]{32}", traces[1])
    assert TRACE != traces[1]
