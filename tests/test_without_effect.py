"""Calls of spans and transactions that have no effect: nothing is raised, each is counted, and the log names what to do instead."""

from __future__ import annotations

import pytest

from scout_core import record_error, span, transaction
from scout_core.testing import recording

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEADERS = {"traceparent": PARENT}
FAILED = 'tag("error", True) marks a span or transaction as failed without an exception'
BEFORE = "call it before begin() or the with block"


def end_with_text():
    span("SQL/Query").begin().end("timeout")


def end_with_class():
    span("SQL/Query").begin().end(TimeoutError)


def end_transaction_with_text():
    transaction("Job/b").detach().begin().end("timeout")


def record_text():
    record_error("timeout")


def record_text_in_inner():
    with transaction("Job/b") as job:
        job.record_error("timeout")


def detach_late():
    with transaction("Job/b") as job:
        assert job is job.detach()


def detach_after_end():
    job = transaction("Job/b").detach().begin()
    job.end()
    job.detach()


def detach_from_span():
    transaction("Job/b").detach(span("SQL/Query"))


def continue_late():
    with transaction("Job/b").detach() as job:
        assert job.trace_id
        assert job is job.continue_from(HEADERS)


def continue_inside():
    with transaction("Job/b") as job:
        job.continue_from(HEADERS)


def continue_twice():
    with transaction("Job/b").detach().continue_from(HEADERS) as job:
        job.continue_from(HEADERS)


def continue_before_inside():
    with transaction("Job/b").continue_from(HEADERS) as job:
        assert job.trace_id not in PARENT


def keep_ended():
    with span("SQL/Query") as query:
        pass
    assert query is query.keep_open()


def keep_ended_transaction():
    job = transaction("Job/b").detach().begin()
    job.end()
    job.keep_open()


CALLS = {
    end_with_text: f"end() got str instead of an exception, which is not used; {FAILED}",
    end_with_class: f"end() got type instead of an exception, which is not used; {FAILED}",
    end_transaction_with_text: f"end() got str instead of an exception, which is not used; {FAILED}",
    record_text: f"record_error() got str instead of an exception, which is not recorded; {FAILED}",
    record_text_in_inner: f"record_error() got str instead of an exception, which is not recorded; {FAILED}",
    detach_late: f"detach() was called after the beginning, and has no effect; {BEFORE}",
    detach_after_end: f"detach() was called after the beginning, and has no effect; {BEFORE}",
    detach_from_span: "detach() got Span as started_by, and has no effect; pass the transaction that has started it, or None",
    continue_late: f"continue_from() was called after the trace was known, and has no effect; {BEFORE}",
    continue_inside: f"continue_from() was called after the trace was known, and has no effect; {BEFORE}",
    continue_twice: f"continue_from() was called after the trace was known, and has no effect; {BEFORE}",
    continue_before_inside: (
        "continue_from() was called for a transaction inside another one, whose trace it has; call detach() too, which makes it a"
        " transaction of its own"
    ),
    keep_ended: "keep_open() was called after the end, and has no effect; call it inside the with block, or before it",
    keep_ended_transaction: "keep_open() was called after the end, and has no effect; call it inside the with block, or before it",
}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_each_call_is_counted_and_logged_once(caplog, call):
    for _ in range(2):  # each agent, once
        caplog.clear()
        with recording() as scout:
            with transaction("Job/a") as job:
                for _ in range(3):
                    call()
            assert (3, None) == (scout.agent.counters().invalid_values, job.error)
            for _ in range(2):
                scout.agent.recorder.work()
        assert [CALLS[call]] == [message for message in caplog.messages if "(" in message]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_without_an_agent_nothing_happens(call):
    if call not in (continue_late, continue_before_inside):  # they read a trace
        call()


def test_calls_in_time_are_not_counted(scout, caplog):
    with transaction("Job/a"):
        with transaction("Job/b").detach().continue_from(HEADERS) as job:
            job.continue_from(None).keep_open().keep_open()
        job.end()
        span("SQL/Query").keep_open().begin().end(ValueError("wrong"))
        record_error(KeyError("plan"))
    with transaction("Job/c") as other:
        other.continue_from(HEADERS)
        assert other.trace_id in PARENT
        with transaction("Job/d").continue_from(HEADERS) as inner:  # of the same trace
            assert inner.trace_id in PARENT
    scout.agent.recorder.work()

    assert (0, []) == (scout.agent.counters().invalid_values, caplog.messages)


def test_texts_that_are_noted_are_bounded(scout):
    with transaction("Job/a"):
        for number in range(300):
            record_error(type(f"Error{number}", (), {})())

    assert (300, 100) == (scout.agent.counters().invalid_values, len(scout.agent.tracer.misused))
