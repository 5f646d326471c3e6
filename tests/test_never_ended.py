"""A span or transaction that is kept open and freed without an end is counted once, and no other is."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread

import pytest

from scout_core import Span, span, transaction
from scout_core.recording.context import current
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.safety import never_ended
from scout_core.testing import recording


def never(scout):
    counters = scout.agent.counters()
    return counters.spans_never_ended, counters.dropped.get("kept open and never ended", 0)


def elsewhere(function):
    """Call it in a copy of the context, which is freed afterwards."""
    copy_context().run(function)


def begun():
    span("Cursor/Open").begin()


def begun_outermost():
    OutermostSpan("SQL/Query").begin()


def kept_in_block():
    with span("Cursor/Open") as cursor:
        cursor.keep_open()


def kept_before_block():
    with span("Cursor/Open").keep_open():
        pass


def kept_after_begin():
    span("Cursor/Open").begin().keep_open()


def nested_transaction():
    with transaction("Job/nested") as job:
        job.keep_open()


def of_own_class():
    class Own(Span):
        pass

    Own("Own/span").begin()


def awaited_by_nobody():
    @span("Pool/Submit")
    def submit():
        return Future()

    submit()


SPANS = (
    begun,
    begun_outermost,
    kept_in_block,
    kept_before_block,
    kept_after_begin,
    nested_transaction,
    of_own_class,
    awaited_by_nobody,
)


@pytest.mark.parametrize("lose", SPANS)
def test_a_span_that_is_freed_without_an_end_is_counted(scout, lose):
    with transaction("Job/a"):
        elsewhere(lose)
        elsewhere(lose)
        gc.collect()  # a class of its own, and a future, are freed by the collector
        assert (2, 0) == never(scout)
    lost = scout.agent.counters()

    assert (["Job/a"], 2, 0) == (scout.operations, lost.spans_never_ended, lost.late_spans)
    assert {} == scout.agent.tracer.kept_open


def test_a_span_that_is_freed_after_its_transaction_is_counted(scout):
    with transaction("Job/a"):
        with span("Cursor/Open") as cursor:
            cursor.keep_open()
    scout.agent.recorder.work()
    assert (0, 0) == never(scout)
    del cursor

    assert (1, 0) == never(scout)


@pytest.mark.parametrize("make", [lambda: transaction("Job/b"), lambda: transaction("Job/b").detach()])
def test_a_transaction_that_was_begun_and_is_freed_is_dropped(scout, make):
    def lose():
        make().begin()

    elsewhere(lose)
    elsewhere(lose)
    gc.collect()  # a transaction refers to itself

    assert ((0, 2), 2) == (never(scout), scout.agent.counters().finished)


def by_end():
    span("Cursor/Open").begin().end()


def by_end_of_what_is_kept():
    with span("Cursor/Open") as cursor:
        cursor.keep_open()
    cursor.end()
    cursor.end()


def by_end_within_its_block():
    with span("Cursor/Open") as cursor:
        cursor.keep_open()
        cursor.end()


def by_an_error():
    with pytest.raises(KeyError), span("Cursor/Open") as cursor:
        cursor.keep_open()
        raise KeyError


def by_its_block():
    with span("Cursor/Open").begin() as cursor:
        cursor.begin()


def by_the_block_of_a_transaction():
    with transaction("Job/nested").begin():
        pass


def by_another_thread():
    cursor = span("Cursor/Open").begin()
    thread = Thread(target=cursor.end)
    thread.start()
    thread.join()


def by_the_result():
    @span("Pool/Submit")
    def submit():
        return Future()

    submit().set_result(1)


def by_a_generator():
    @span("Rows/Fetch")
    def fetch():
        yield 1

    assert [1] == list(fetch())
    next(fetch())  # freed before its end


def by_a_stream():
    with span("Body/Send") as sending:
        body = sending.stream(iter([b"a"]))
    assert [b"a"] == list(body)


@pytest.mark.parametrize(
    "end",
    [
        by_end,
        by_end_of_what_is_kept,
        by_end_within_its_block,
        by_an_error,
        by_its_block,
        by_the_block_of_a_transaction,
        by_another_thread,
        by_the_result,
        by_a_generator,
        by_a_stream,
    ],
)
def test_what_ends_is_not_counted(scout, end):
    with transaction("Job/a"):
        elsewhere(end)
        gc.collect()
        assert (0, 0) == never(scout)

    assert len(scout.operations) > 1
    assert ({}, 0) == (scout.agent.tracer.kept_open, len(scout.agent.tracer.freed))


def test_a_span_that_is_open_when_its_transaction_ends_is_late_and_nothing_else(scout):
    def lose():
        with transaction("Job/a"):
            span("Cursor/Open").begin()

    elsewhere(lose)
    gc.collect()

    assert ((0, 0), 1) == (never(scout), scout.agent.counters().late_spans)


def test_a_transaction_that_is_interrupted_is_not_counted_twice(scout):
    transaction("Job/lost").begin()
    with transaction("Job/a"):
        pass
    gc.collect()

    counters = scout.agent.counters()
    assert ({"interrupted": 1}, 2) == (counters.dropped, counters.finished)


def test_a_transaction_that_joins_another_has_no_end_of_its_own(scout):
    environ = {"wsgi.input": object(), "REQUEST_METHOD": "GET", "PATH_INFO": "/"}

    def join():
        inner = transaction("Controller/inner")
        inner.environ = environ
        inner.begin()

    with transaction("Controller/outer").around(environ):
        join()

    assert ((0, 0), ["Controller/inner"]) == (never(scout), scout.operations)


class Cursor:
    """Ends what it has begun when it is freed; in a cycle, so only the collector frees it."""

    def __init__(self, opened, is_kept=False):
        self.itself = self
        self.opened = opened.keep_open() if is_kept else opened

    def __del__(self):
        self.opened.end()


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="not on a Python whose collector interrupts the code that it runs in"
)
@pytest.mark.parametrize("is_kept", [False, True])
@pytest.mark.parametrize("make", [lambda: span("Cursor/Open"), lambda: transaction("Job/cursor").detach()])
def test_what_ends_while_the_collector_frees_it_is_recorded_and_not_counted(scout, make, is_kept):
    """The collector clears weak references before it calls finalisers."""
    with transaction("Job/a"):
        elsewhere(lambda: Cursor(make().begin(), is_kept))
        gc.collect()

    assert (0, 0) == never(scout)
    assert 2 == len(scout.operations)
    assert 0 == scout.agent.counters().in_collection


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_span_that_ends_while_the_collector_frees_it_is_not_counted_on_any_version(scout, is_kept):
    with transaction("Job/a"):
        elsewhere(lambda: Cursor(span("Cursor/Open").begin(), is_kept))
        gc.collect()

        assert (0, 0) == never(scout)


def test_a_count_that_was_read_too_early_is_taken_back(scout):
    class Reader(Cursor):
        def __del__(self):
            seen.append(never(scout))
            super().__del__()

    seen = []
    with transaction("Job/a"):
        elsewhere(lambda: Reader(span("Cursor/Open").begin()))
        gc.collect()

        assert ([(1, 0)], (0, 0)) == (seen, never(scout))


def test_freed_spans_do_not_pile_up_between_two_reports(scout):
    with transaction("Job/a"):
        for _ in range(100):
            elsewhere(begun)
        assert len(scout.agent.tracer.freed) <= 1

        assert (100, 0) == never(scout)


def test_nothing_but_c_code_runs_when_a_span_is_freed(scout):
    """In Python code, an exception of a signal handler would be lost, and a lock could be held by the same thread."""
    with transaction("Job/a"):
        kept = span("Cursor/Open").begin()
        called = []
        sys.setprofile(lambda frame, event, argument: called.append((event, frame.f_code.co_name)))
        kept = current.set(None) and None  # noqa: F841  # frees it
        sys.setprofile(None)

        assert [] == [name for event, name in called if event == "call"]
        assert (1, 0) == never(scout)


def test_spans_that_are_open_when_the_agent_stops_are_not_followed_any_more():
    with recording() as scout:
        with transaction("Job/a"):
            with span("Cursor/Open") as cursor:
                cursor.keep_open()
            tracer = scout.agent.tracer
            scout.agent.stop(0)
            assert {} == tracer.kept_open
            del cursor
            never_ended.count_freed(tracer)

            assert 0 == tracer.spans_never_ended


def test_plain_spans_and_transactions_are_not_followed(scout):
    with transaction("Job/a") as job, span("SQL/Query") as query:
        assert {} == scout.agent.tracer.kept_open

    assert [False, False] == [hasattr(seen, "own_watch") for seen in (job, query)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_count_spans_of_its_parent():
    source = """if True:
        import os
        from scout_core import span, start, transaction

        agent = start(plugins_disable=["collector"])
        with transaction("Job/a"):
            with span("Cursor/Open") as cursor:
                cursor.keep_open()
            pid = os.fork()
            if not pid:
                del cursor
                with transaction("Job/child"):
                    span("Cursor/Child").begin()
                code = agent.counters().spans_never_ended
                os._exit(10 + code)
            child = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            del cursor
            print(child, agent.counters().spans_never_ended)
    """
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert ("10 1\n", "") == (found.stdout, found.stderr)


def test_at_the_end_of_the_interpreter_nothing_is_printed():
    source = """if True:
        from scout_core import span, start, transaction

        start(plugins_disable=["collector"])

        class Holder:
            def __init__(self, held):
                self.held, self.itself = held, self

        holders = []
        with transaction("Job/a"):
            holders.append(Holder(span("Cursor/Open").begin()))
        held = Holder(transaction("Job/b").begin())
    """
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert (0, "", "") == (found.returncode, found.stdout, found.stderr)
