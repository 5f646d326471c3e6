"""Spans and transactions that begin in one place and end in another: ``begin``, ``end``, ``keep_open``."""

from __future__ import annotations

import ast
import asyncio
import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core import Span, current_transaction, span, transaction
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.recording import context
from scout_core.recording.context import has_ended
from scout_core.testing import recording
from tests.workbench import plugin


def elsewhere(function, *arguments):
    """Call it on another thread, which has a context of its own."""
    thread = Thread(target=function, args=arguments)
    thread.start()
    thread.join()


def in_copied_context(function):
    copy_context().run(function)


def parents(scout):
    return [(seen.operation, seen.parent) for seen in scout.spans]


def test_a_span_and_a_transaction_begin_and_end_as_their_blocks_do(scout):
    job = transaction("Job/a").begin()
    query = span("SQL/Query").begin()
    assert (query, job) == (context.current.get(), query.parent)
    query.end()
    assert job is context.current.get()
    job.end()

    assert None is context.current.get()
    assert ["SQL/Query", "Job/a"] == scout.operations


def test_beginning_and_ending_twice_changes_nothing_and_the_first_error_counts(scout):
    job = transaction("Job/a").begin().begin()
    query = span("SQL/Query").begin().begin()
    query.end(KeyError("a"))
    duration = query.duration
    query.end(OSError("b"))
    query.begin()
    job.end(ValueError("c"))
    job.end()
    job.begin()

    assert (None, duration) == (context.current.get(), query.duration)
    (seen,) = scout.transactions
    assert ("KeyError", "ValueError", 1) == (seen.spans[0].error, seen.error, scout.agent.counters().finished)


@pytest.mark.parametrize(
    "error, counts",
    [
        (KeyError("x"), True),
        (SystemExit(1), True),
        (SystemExit(0), False),
        (KeyboardInterrupt(), False),
        (asyncio.CancelledError(), False),
    ],
)
def test_an_error_counts_as_if_it_had_propagated(scout, error, counts):
    with transaction("Job/outer"):
        span("SQL/Query").begin().end(error)
        transaction("Job/inner").begin().end(error)
    transaction("Job/a").begin().end(error)

    expected = type(error).__name__ if counts else None
    outer, job = scout.transactions
    assert [expected] * 3 == [outer.spans[0].error, outer.spans[1].error, job.error]


def test_the_exception_of_a_transaction_is_in_its_trace_with_the_place_where_it_was_raised(scout):
    def fail():
        raise KeyError("plan")

    job = transaction("Job/a").begin()
    try:
        fail()
    except KeyError as error:
        job.end(error)

    (trace,) = scout.traces()
    assert ("KeyError", "fail") == (trace.error.exception, trace.error.frames[0][2])


@pytest.mark.parametrize("error", ["a text", 5, KeyError, object()])
def test_anything_but_an_exception_ends_it_without_an_error_and_is_counted(scout, error):
    with transaction("Job/a"):
        span("SQL/Query").begin().end(error)

    assert [("SQL/Query", None)] == [(seen.operation, seen.error) for seen in scout.spans]
    assert 1 == scout.agent.counters().invalid_values


def test_an_exception_whose_attributes_raise_ends_it(scout):
    class Hostile(Exception):
        @property
        def __traceback__(self):
            raise OSError

        @property
        def __class__(self):
            raise OSError

    job = transaction("Job/a").begin()
    job.end(Hostile())

    assert "Hostile" in scout.transaction.error


def test_outside_a_transaction_nothing_begins_and_the_span_can_begin_later(scout):
    query = span("SQL/Query").begin()
    query.end()
    assert (None, 0.0) == (query.transaction, query.duration)
    with transaction("Job/a"):
        query.begin().end()

    assert [("SQL/Query", "Job/a")] == parents(scout)


def test_ending_what_has_not_begun_does_nothing(scout):
    query, job = span("SQL/Query"), transaction("Job/a")
    query.end(KeyError("x"))
    job.end(KeyError("x"))
    with job, query:
        pass

    assert [(None, None)] == [(seen.error, seen.spans[0].error) for seen in scout.transactions]


def test_without_an_agent_nothing_happens():
    job = transaction("Job/a").begin()
    query = span("SQL/Query").begin().keep_open()
    query.end()
    job.keep_open().detach().end(KeyError("x"))

    assert (None, 0.0, 0.0) == (context.current.get(), job.duration, query.duration)


def test_ended_on_another_thread_a_span_is_no_parent_any_more_where_it_began(scout):
    with transaction("Job/a"), span("Template/Render"):
        outer = span("Cursor/Outer").begin()
        inner = span("Cursor/Inner").begin()
        elsewhere(inner.end)
        elsewhere(outer.end)
        with span("SQL/Query"):
            pass
        with span("SQL/Query"):
            pass

    assert None is context.current.get()
    assert [
        ("Cursor/Inner", "Cursor/Outer"),
        ("Cursor/Outer", "Template/Render"),
        ("SQL/Query", "Template/Render"),
        ("SQL/Query", "Template/Render"),
        ("Template/Render", "Job/a"),
    ] == parents(scout)


def test_a_transaction_ended_on_another_thread_leaves_nothing_where_it_began(scout):
    first = transaction("Job/first").begin()
    elsewhere(first.end)
    assert None is current_transaction()
    with span("SQL/Query"):
        pass
    with transaction("Job/second"), span("SQL/Query"):
        pass

    assert ["Job/first", "SQL/Query", "Job/second"] == scout.operations
    assert (None, 1) == (context.current.get(), scout.agent.counters().late_spans)


def test_an_end_elsewhere_leaves_that_context_alone(scout):
    def other():
        with transaction("Job/other") as job, span("Template/Render") as render:
            cursor.end()
            assert render is context.current.get()
            first.end()
            assert (render, job) == (context.current.get(), current_transaction())

    first = transaction("Job/first").begin()
    cursor = span("Cursor/Open").begin()
    elsewhere(other)

    assert [["Cursor/Open"], ["Template/Render"]] == [
        [seen.operation for seen in job.spans] for job in scout.transactions
    ]


@pytest.mark.parametrize("call", [lambda function: function(), elsewhere, in_copied_context])
def test_spans_that_overlap_have_the_same_parents_wherever_they_end(scout, call):
    with transaction("Job/a") as job:
        first, second, third = (span(f"Step/{number}").begin() for number in range(3))
        call(second.end)
        with span("SQL/Query"):
            pass
        call(first.end)
        with span("SQL/Query") as query:
            pass
        assert third is query.parent
        third.end()
        assert job is current_transaction()
        with span("SQL/Query") as query:
            pass

    assert [
        ("Step/1", "Step/0"),
        ("SQL/Query", "Step/2"),
        ("Step/0", "Job/a"),
        ("SQL/Query", "Step/2"),
        ("Step/2", "Step/1"),
        ("SQL/Query", "Job/a"),
    ] == parents(scout)


@pytest.mark.parametrize("call", [lambda function: function(), elsewhere])
def test_a_span_that_ends_within_a_block_leaves_the_block_current(scout, call):
    with transaction("Job/a"):
        outer = span("Step/Outer").begin()
        with span("Step/Block"):
            call(outer.end)
            with span("SQL/Query"):
                pass
        with span("SQL/Query"):
            pass

    assert [
        ("Step/Outer", "Job/a"),
        ("SQL/Query", "Step/Block"),
        ("Step/Block", "Step/Outer"),
        ("SQL/Query", "Job/a"),
    ] == parents(scout)


def test_the_end_of_a_block_leaves_what_began_inside_it(scout):
    with transaction("Job/a"):
        with span("Step/Block"):
            left = span("Cursor/Open").begin()
        with span("SQL/Query"):
            pass
        left.end()

    assert [("Step/Block", "Job/a"), ("SQL/Query", "Job/a"), ("Cursor/Open", "Step/Block")] == parents(scout)


def test_what_is_open_at_the_end_of_its_transaction_is_counted_once(scout):
    job = transaction("Job/a").begin()
    left = [span("Cursor/Open").begin() for _ in range(3)]
    elsewhere(left[0].end)
    job.end()
    for cursor in left:
        cursor.end()

    assert (["Cursor/Open", "Job/a"], 2) == (scout.operations, scout.agent.counters().late_spans)


def test_begun_and_ended_in_tasks_and_callbacks(scout):
    async def begin_in_task(operation):
        return span(operation).begin()

    async def end_in_task(cursor):
        await asyncio.sleep(0)
        cursor.end()

    async def main():
        loop = asyncio.get_running_loop()
        with transaction("Controller/home"):
            cursor = await asyncio.create_task(begin_in_task("Cursor/Open"))
            future = loop.create_future()
            waiting = span("Queue/Wait").begin()
            future.add_done_callback(lambda done: waiting.end(done.exception()))
            loop.call_soon(future.set_exception, KeyError("x"))
            await asyncio.wait([future])
            await asyncio.create_task(end_in_task(cursor))
            with span("SQL/Query"):
                await asyncio.sleep(0)

    asyncio.run(main())

    assert {"Cursor/Open": None, "Queue/Wait": "KeyError", "SQL/Query": None} == {
        seen.operation: seen.error for seen in scout.spans
    }
    assert {"Controller/home"} == {parent for _, parent in parents(scout)}


def test_ended_by_a_future_of_a_pool(scout):
    with ThreadPoolExecutor(1) as pool:
        job = transaction("Job/a").begin()
        work = span("Work/Run").begin()
        future = pool.submit(int, "no number")
        future.add_done_callback(lambda done: (work.end(done.exception()), job.end()))
    with transaction("Job/b"), span("SQL/Query"):
        pass

    assert ["Work/Run", "Job/a", "SQL/Query", "Job/b"] == scout.operations
    assert "ValueError" == scout.spans[0].error


def test_ending_on_two_threads_at_once_ends_once(scout):
    for _ in range(50):
        job = transaction("Job/a").begin()
        query = span("SQL/Query").begin().keep_open()
        threads = [Thread(target=end) for end in (query.end, query.end, job.end, job.end)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counters = scout.agent.counters()

    assert (50, 50) == (counters.finished, len(scout.transactions))
    assert 50 == len(scout.spans) + scout.agent.counters().late_spans


def test_a_block_whose_span_has_ended_elsewhere_restores_the_context(scout):
    with transaction("Job/a") as job:
        with span("Template/Render") as render:
            elsewhere(render.end)
            assert render is context.current.get()
        assert job is context.current.get()
        with span("SQL/Query"):
            pass

    assert [("Template/Render", "Job/a"), ("SQL/Query", "Job/a")] == parents(scout)


def test_a_subclass_adds_to_the_methods_of_the_block(scout):
    class Counted(span):
        ends = 0

        def __exit__(self, *problem):
            Counted.ends += 1
            super().__exit__(*problem)

    with transaction("Job/a"):
        Counted("SQL/Query").begin().end()

    assert ([("SQL/Query", "Job/a")], 1) == (parents(scout), Counted.ends)


def test_kept_open_a_span_outlives_its_block(scout):
    with transaction("Job/a") as job:
        with span("Stream/Body") as body:
            assert body is body.keep_open()
        assert job is context.current.get()
        with span("SQL/Query"):
            pass
        assert 0 < body.duration
        elsewhere(body.end, KeyError("x"))
        body.end()

    assert [("SQL/Query", "Job/a"), ("Stream/Body", "Job/a")] == parents(scout)
    assert "KeyError" == scout.spans[1].error


def test_kept_open_a_transaction_outlives_its_block_and_the_next_one_is_its_own(scout):
    with transaction("Job/first") as first:
        first.keep_open().keep_open()
    assert None is current_transaction() is context.current.get()
    with span("SQL/Outside"):
        pass
    with transaction("Job/second"), span("SQL/Query"):
        pass
    first.end(KeyError("x"))
    first.end()

    assert ["SQL/Query", "Job/second", "Job/first"] == scout.operations
    assert [None, "KeyError"] == [seen.error for seen in scout.transactions]
    counters = scout.agent.counters()
    assert (2, {}, {}) == (counters.finished, counters.dropped, scout.agent.tracer.kept_open)


@pytest.mark.parametrize("make", [span, transaction])
def test_what_is_kept_open_before_it_begins_goes_on_after_its_block(scout, make):
    kept = make("Job/kept").keep_open()
    with transaction("Job/a"):
        with kept:
            pass
        kept.end()

    assert ["Job/kept", "Job/a"] == scout.operations


def test_an_exception_that_leaves_the_block_ends_what_is_kept_open(scout):
    with pytest.raises(KeyError), transaction("Job/a") as job:
        job.keep_open()
        with pytest.raises(OSError, match="x"), span("Stream/Body") as body:
            body.keep_open()
            raise OSError("x")
        raise KeyError("plan")
    job.end()

    assert [("KeyError", "OSError")] == [(seen.error, seen.spans[0].error) for seen in scout.transactions]
    assert {} == scout.agent.tracer.kept_open


def test_ended_in_its_block_what_is_kept_open_has_ended(scout):
    with transaction("Job/a") as job:
        job.keep_open()
        job.end()
        assert None is context.current.get()
    job.keep_open()

    assert ["Job/a"] == scout.operations


def test_spans_of_a_transaction_that_is_kept_open_are_those_of_the_contexts_that_it_has_not_left(scout):
    with transaction("Job/a") as job:
        inherited = copy_context()
        job.keep_open()
    with span("SQL/Left"):
        pass
    inherited.run(lambda: span("SQL/Query").begin().end())
    job.end()
    inherited.run(lambda: span("SQL/Late").begin().end())

    assert ["SQL/Query", "Job/a"] == scout.operations
    assert 1 == scout.agent.counters().late_spans


def test_a_transaction_that_nothing_ends_is_counted_when_it_is_freed(scout):
    for _ in range(3):
        with transaction("Job/a") as job, span("SQL/Query"):
            job.keep_open()
    del job
    gc.collect()

    counters = scout.agent.counters()
    assert ({"kept open and never ended": 3}, 3) == (counters.dropped, counters.finished)
    assert ([], {}) == (scout.operations, scout.agent.tracer.kept_open)


def test_a_transaction_that_is_open_when_the_agent_stops_is_counted_once(scout):
    with transaction("Job/a") as job, span("SQL/Query"):
        job.keep_open()
    scout.agent.stop(0)
    assert {"open when the agent stopped": 1} == scout.agent.counters().dropped
    job.end()

    counters = scout.agent.counters()
    assert ({"open when the agent stopped": 1}, 1, 0) == (counters.dropped, counters.finished, counters.late_spans)
    assert [] == job.spans


def test_a_describer_may_keep_its_transaction_open(scout):
    def respond():
        with span("SQL/Query"):
            return iter("ab")

    def describe():
        web = transaction("Controller/stream")
        yield web
        web.keep_open()
        responses.append(web)

    responses = []
    wrapped = describing_wrapper(respond, Guard("shop", "respond", describe, has_steps=True), is_root=True)
    wrapped()
    wrapped()
    for web in responses:
        assert None is current_transaction()
        web.end()

    assert ["SQL/Query", "Controller/stream"] * 2 == scout.operations


def test_the_next_transaction_heals_what_was_kept_open_and_forgotten_in_its_block(scout):
    transaction("Job/lost").begin().keep_open()
    with transaction("Job/next"), span("SQL/Query"):
        pass

    assert ["SQL/Query", "Job/next"] == scout.operations
    assert {"interrupted": 1} == scout.agent.counters().dropped


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_a_fork_only_the_parent_records_what_was_open(scout):
    job = transaction("Job/a").begin()
    cursor = span("Cursor/Open").begin()
    with transaction("Job/inner").detach() as kept:
        kept.keep_open()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            from scout_core import running

            agent = running._running
            agent.tracer.await_none()
            for begun in (cursor, job, kept):
                begun.end()
            with transaction("Job/child"), span("SQL/Query"):
                pass
            os.write(write, repr((len(agent.tracer.inbox), agent.counters().finished)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        assert "(1, 1)" == answer.read()
    os.waitpid(pid, 0)
    cursor.end()
    job.end()
    kept.end()

    assert ["Cursor/Open", "Job/a", "Job/inner"] == scout.operations


def test_a_hook_cannot_end_a_transaction_that_has_not_begun():
    ended = []

    def on_request_start(transaction):
        transaction.end(KeyError("x"))
        ended.append(transaction)

    with recording(plugins=[plugin("hooks", on_request_start=on_request_start)]) as scout:
        with transaction("Job/a") as job, span("SQL/Query"):
            assert job is current_transaction()

        assert (["SQL/Query", "Job/a"], [job]) == (scout.operations, ended)
        assert None is scout.transaction.error


def test_kept_open_it_cannot_decorate():
    for kept in (span("SQL/Query").keep_open(), transaction("Job/a").keep_open()):
        with pytest.raises(TypeError, match="nothing could end the spans"):
            kept(len)


@pytest.mark.parametrize("is_begun", [False, True])
def test_what_a_describer_returns_may_be_kept_open(scout, is_begun):
    def work():
        return current_transaction()

    def describe():
        made.append(transaction("Job/stream").keep_open())
        return made[-1].begin() if is_begun else made[-1]

    made = []
    wrapped = describing_wrapper(work, Guard("shop", "work", describe, has_steps=False), is_root=True)
    assert made == [wrapped()]
    assert None is current_transaction()
    wrapped()
    for job in made:
        job.end()

    assert ["Job/stream"] * 2 == scout.operations


def test_hooks_see_the_end_once_and_cannot_begin_anything():
    def on_span(span):
        ended.append(span.operation)
        Span("Hook/Span").begin().end()
        transaction("Job/hook").detach().begin().end()

    ended = []
    with recording(plugins=[plugin("hooks", on_span=on_span)]) as scout:
        with transaction("Job/a"):
            query = span("SQL/Query").begin()
            query.end()
            query.end()

        assert (["SQL/Query"], ["SQL/Query", "Job/a"]) == (ended, scout.operations)
        assert 2 == scout.agent.counters().in_hooks


GREENLETS = """
import gevent, sys
from scout_core import span, transaction
from scout_core.testing import recording

with recording(plugins_autoload=False) as scout:
    job = transaction("Job/a").begin()
    cursor = span("Cursor/Open").begin()
    gevent.joinall([gevent.spawn(cursor.end), gevent.spawn(cursor.end)])
    with span("SQL/Query"):
        gevent.sleep(0)
    gevent.spawn(job.end).join()
    with transaction("Job/b"):
        pass
    sys.stdout.write(repr(([(seen.operation, seen.parent) for seen in scout.spans], len(scout.transactions))))
"""


def test_ended_in_a_greenlet():
    pytest.importorskip("gevent", reason="not with the oldest libraries: no gevent")
    ran = subprocess.run([sys.executable, "-c", GREENLETS], capture_output=True, text=True, check=False)

    assert (0, "") == (ran.returncode, ran.stderr)
    assert ([("Cursor/Open", "Job/a"), ("SQL/Query", "Job/a")], 2) == ast.literal_eval(ran.stdout)


MOMENTS = st.tuples(st.sampled_from(["begin", "end", "keep_open"]), st.integers(0, 2), st.integers(0, 7))
"""An action, the number of the context that it is done in, and of the object that it is done to."""


@given(moments=st.lists(MOMENTS, max_size=40))
@settings(max_examples=200, deadline=None)
def test_in_any_order_and_any_context_each_ends_once_and_no_parent_has_ended(moments):
    contexts = [Context() for _ in range(3)]
    with recording(plugins_autoload=False) as scout:
        objects = [transaction("Job/0"), transaction("Job/1"), transaction("Job/2").detach()]
        objects += [span(f"Work/{number}") for number in range(5)]
        for moment, where, number in moments:
            chosen = objects[number]
            was_begun = bool(chosen.start_ns)
            contexts[where].run(getattr(chosen, moment))
            if moment == "begin" and chosen.start_ns and not was_begun and chosen.parent is not None:
                assert (False, False) == (has_ended(chosen.parent), chosen.parent.transaction.is_closed)
        begun = [chosen for chosen in objects if chosen.start_ns]
        for chosen in reversed(begun):
            chosen.end()
        for place in contexts:
            assert place.run(current_transaction) is None
            with_own = place.run(lambda: transaction("Job/next").begin())
            place.run(with_own.end)
            assert with_own.id

        roots = [chosen for chosen in begun if isinstance(chosen, transaction) and chosen.id]
        assert len(roots) + 3 == len(scout.transactions) == scout.agent.counters().finished
        children, listed = len(begun) - len(roots), sum(len(job.spans) for job in scout.transactions)
        assert listed <= children <= listed + scout.agent.counters().late_spans
