"""Spans and transactions that several threads end, and exceptions that they record, at the same moment."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier, Event, Thread
from time import perf_counter

import pytest

import scout_core
from scout_core import record_error, span, transaction
from scout_core.recording import context
from scout_core.recording.errors.recorded import MOST_ERRORS
from scout_core.testing import recording
from tests.workbench import acting_at, plugin

RECORDING = str(Path(scout_core.__file__).parent / "recording")


def elsewhere(function):
    thread = Thread(target=function)
    thread.start()
    thread.join()


def at_line(number, function):
    """Return a trace function that lets another thread call the function at one line that records, and the list of lines reached."""
    reached = []

    def act(line):
        reached.append(line)
        sys.settrace(None)
        elsewhere(function)

    return acting_at(number, RECORDING, act), reached


def run_with_other(first, other, number):
    """Call a function, and another one on another thread before a line that records; whether there were as many."""
    (trace, reached), before = at_line(number, other), sys.gettrace()
    sys.settrace(trace)
    try:
        first()
    finally:
        sys.settrace(before)
    return bool(reached)


@contextmanager
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*functions):
    """Call all of them on threads of their own that begin at the same time."""
    barrier = Barrier(len(functions))

    def run(function):
        barrier.wait()
        function()

    threads = [Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def job():
    return transaction("Job/a").begin()


def web():
    return transaction("Controller/a").around({"PATH_INFO": "/"}).begin()


def failing(recorded):
    recorded.end(KeyError("plan"))


def leave_block(recorded):
    recorded.__exit__(None, None, None)


def succeeding(recorded):
    recorded.end()


@pytest.mark.parametrize(
    "make, first, other",
    [
        (job, succeeding, succeeding),
        (job, failing, succeeding),
        (web, leave_block, failing),
        (web, succeeding, failing),
    ],
)
def test_a_transaction_that_two_threads_end_counts_once_wherever_they_meet(scout, make, first, other):
    number = 0
    while True:
        number += 1
        recorded = make()
        has_met = run_with_other(partial(first, recorded), partial(other, recorded), number)
        scout.agent.recorder.work()
        counters = scout.agent.counters()
        assert (number, number) == (counters.finished, len(scout.transactions))
        assert None is context.current.get()
        if not has_met:
            break

    assert number > 15
    assert (0, 0) == (context.tracer.never_ended, context.tracer.interrupted)


def test_a_span_that_two_threads_end_is_recorded_once_wherever_they_meet():
    ended = []
    hooks = plugin("hooks", on_span=lambda span: ended.append(span.operation))
    with recording(plugins=[hooks]) as scout:
        number = 0
        while True:
            number += 1
            with transaction("Job/a"):
                query = span("SQL/Query").begin()
                has_met = run_with_other(query.end, query.end, number)
                assert query.duration < 60
            assert ["SQL/Query"] * number == [recorded.operation for recorded in scout.spans]
            if not has_met:
                break
        tracer = context.tracer

    assert number > 10
    assert ["SQL/Query"] * number == ended
    assert (0, 0) == (tracer.late_spans, tracer.spans_never_ended)


@pytest.mark.parametrize("make", [lambda: transaction("Job/a").detach(), lambda: span("SQL/Query")])
def test_a_block_that_is_left_while_another_thread_ends_what_it_keeps_open(scout, make):
    number = 0
    while True:
        number += 1
        with transaction("Job/outer"):
            kept = make()
            kept.__enter__()
            kept.keep_open()
            has_met = run_with_other(partial(leave_block, kept), kept.end, number)
            kept.end()
            del kept
        tracer = context.tracer
        assert (0, 0, 0) == (tracer.never_ended, tracer.spans_never_ended, tracer.late_spans)
        if not has_met:
            break

    operations = scout.operations
    assert operations.count("Job/outer") == number == len(operations) // 2


def test_spans_beyond_the_limit_are_counted_once():
    with recording(max_spans=1) as scout, switching_often():
        for _ in range(100):
            with transaction("Job/a") as a:
                with span("SQL/First"):
                    pass
                query = span("SQL/Query").begin()
                at_once(query.end, query.end)
            assert 1 == a.merged["SQL/Query"][0]

    assert 100 == scout.agent.counters().finished


def test_two_threads_that_end_transactions_all_the_time_count_each_once(scout):
    with switching_often():
        for _ in range(40):
            jobs = [transaction("Job/a").detach().begin() for _ in range(50)]
            at_once(*[partial(list, map(transaction.end, list(jobs))) for _ in range(2)])

    assert (2000, {}) == (scout.agent.counters().finished, scout.agent.counters().dropped)


def test_a_joined_transaction_that_two_threads_end_keeps_the_first_error(scout):
    number = 0
    while True:
        number += 1
        environ = {"PATH_INFO": "/", "wsgi.input": object()}
        with transaction("Controller/outer").around(environ) as outer:
            inner = transaction("Controller/inner")
            inner.environ = environ
            inner.begin()
            has_met = run_with_other(partial(inner.end, KeyError(1)), partial(inner.end, OSError(2)), number)
        assert 1 == outer.error_count
        if not has_met:
            break

    assert number > 10


def test_one_exception_that_several_threads_record_is_recorded_once_wherever_they_meet(scout):
    error = ValueError("shared")
    number = 0
    while True:
        number += 1
        with transaction("Job/a") as recorded:
            unhandled = partial(recorded.record_error, error, handled=False)
            has_met = run_with_other(partial(record_error, error), unhandled, number)
        assert [("shared", False)] == [(found.message, found.handled) for found in recorded.errors] or not has_met
        assert 1 == recorded.error_count
        if not has_met:
            break

    assert number > 50


def test_exceptions_that_several_threads_record_at_once_are_all_counted_and_the_limit_holds(scout):
    number = 0
    while True:
        number += 1
        with transaction("Job/a") as recorded:
            for index in range(MOST_ERRORS - 1):
                recorded.record_error(ValueError(index))
            record = recorded.record_error
            has_met = run_with_other(partial(record, KeyError(1)), partial(record, OSError(2)), number)
        assert (MOST_ERRORS, MOST_ERRORS + has_met) == (len(recorded.errors), recorded.error_count)
        if not has_met:
            break

    assert number > 50


def test_the_first_errors_of_several_threads_are_all_recorded_and_their_sizes_are_known(scout):
    with transaction("Job/a") as by_one:
        for number in range(2):
            by_one.record_error(ValueError(number))
    with switching_often():
        for _ in range(200):
            with transaction("Job/a") as recorded:
                at_once(*[partial(recorded.record_error, ValueError(number)) for number in range(2)])
            assert 2 == recorded.error_count
            size = recorded.size

    assert abs(by_one.size - size) < 1000


def test_the_bytes_in_the_inbox_are_known_whatever_threads_hand_over():
    """Otherwise the inbox would be full for good, or hold any number of bytes, after some millions of requests."""

    def work():
        for _ in range(200):
            with transaction("Job/a", key="value"):
                pass

    with recording() as scout, switching_often():
        at_once(*[work] * 4)
        tracer = context.tracer
        assert sum(finished.size for finished in tracer.inbox) == tracer.entered - tracer.left
        assert 800 == len(scout.transactions)


@pytest.mark.parametrize(
    "make", [partial(map, str), partial(filter, None), enumerate], ids=["map", "filter", "enumerate"]
)
def test_a_lazy_iterator_that_threads_share_is_never_active_for_longer_than_it_exists(scout, make):
    number = 0
    while True:
        number += 1
        with transaction("Job/a"):
            shared = span("Work/shared")(lambda: make(range(1, 5)))()
            next(shared)
            has_met = run_with_other(partial(next, shared), partial(next, shared), number)
            list(shared)
        (seen,) = scout.transactions[-1].spans
        assert 0 < seen.tags["active_time"] <= seen.duration
        if not has_met:
            break

    assert number > 10


def test_the_steps_of_threads_that_overlap_are_counted_once_and_to_the_end_of_the_last(scout):
    """One step begins, another one begins and ends meanwhile, and the first one continues."""
    started, other_is_done = Event(), Event()
    times = []

    def work(number):
        if number == 1:
            started.set()
            other_is_done.wait()
            begin = perf_counter()
            while perf_counter() - begin < 0.02:
                pass
            times.append(perf_counter() - begin)
        return number

    with transaction("Job/a"):
        shared = span("Work/shared")(lambda: map(work, range(1, 3)))()
        thread = Thread(target=next, args=(shared,))
        thread.start()
        started.wait()
        next(shared)
        other_is_done.set()
        thread.join()
        assert [] == list(shared)

    (seen,) = scout.transactions[-1].spans
    assert times[0] <= seen.tags["active_time"] <= seen.duration
