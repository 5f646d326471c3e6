"""Transactions: start, nesting, errors, ignoring, limits, end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import time
from types import SimpleNamespace

import pytest

from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.recording import context
from scout_core.recording import transaction as transaction_module
from scout_core.recording.limits.merging import MAX_MERGED
from scout_core.tracebacks import MAX_FRAMES


class Unprintable(Exception):
    """An exception whose text cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def add(scout, hook, function):
    """Add a plugin whose implementation of a hook is this function."""
    plugin = SimpleNamespace(**{hook: hookimpl(function)})
    scout.agent.plugins.add_object(plugin, f"test-{hook}")
    scout.agent.freeze()


def test_a_transaction_has_its_operation_tags_and_times(scout):
    before = time()
    with transaction("Controller/shop.home", plan="gold") as home:
        home.tag("items", 3)
        assert current_transaction() is home
    after = time()

    assert current_transaction() is None
    assert before <= home.started <= after
    recorded = scout.transaction
    tags = {"plan": "gold", "items": 3}
    assert ("Controller/shop.home", tags, None) == (recorded.operation, recorded.tags, recorded.parent)
    assert 0 < recorded.duration <= after - before + 0.001
    assert (False, None, None) == (recorded.is_error, recorded.error, recorded.message)


def test_ids_are_random_and_a_nested_transaction_has_none(scout):
    ids = []
    for _ in range(100):
        with transaction("Job/a") as outer, transaction("Job/b") as inner:
            ids.append(outer.id)
            assert 0 == inner.id

    assert 100 == len({*ids, 0}) - 1
    assert max(ids).bit_length() > 50
    assert all(0 < number < 1 << 64 for number in ids)


def test_a_transaction_without_an_agent_is_not_recorded():
    with transaction("Controller/home") as home:
        assert current_transaction() is None
        home.tag("plan", "gold")
        home.ignore()

    assert (0, 0.0, 0.0) == (home.id, home.started, home.duration)


def test_a_nested_transaction_is_a_span_of_the_outer_transaction(scout):
    with transaction("Controller/home") as outer:
        with transaction("Job/inline", queue="low") as inner, span("Job/Step"):
            assert current_transaction() is outer
        assert context.current.get() is outer

    assert ["Job/Step", "Job/inline", "Controller/home"] == scout.operations
    step, nested = scout.transaction.spans
    assert ("Job/inline", "Controller/home") == (step.parent, nested.parent)
    assert {"queue": "low"} == nested.tags
    assert inner.transaction is not inner


def test_a_transaction_in_another_thread_is_not_nested(scout):
    def work():
        with transaction("Job/thread"):
            pass

    with transaction("Controller/home"):
        for target in (work, lambda: contextvars.copy_context().run(work)):
            thread = Thread(target=target)
            thread.start()
            thread.join()

    assert ["Job/thread", "Job/thread", "Controller/home"] == scout.operations
    assert [None, None, None] == [recorded.parent for recorded in scout.transactions]


def test_a_failing_transaction_records_the_exception_and_its_frames(scout):
    def fail():
        raise ValueError("no such plan: 'gold'")

    with (
        pytest.raises(ValueError, match="gold") as caught,
        transaction("Controller/home") as home,
        span("Cart/Checkout"),
    ):
        fail()

    assert (caught.value.__context__, caught.value.__cause__) == (None, None)
    assert home.is_error
    (error,) = home.errors
    assert ("ValueError", "no such plan: ?", False) == (error.exception, error.message, error.handled)
    here = test_a_failing_transaction_records_the_exception_and_its_frames.__name__
    assert [(__file__, "fail"), (__file__, here)] == [(file, function) for file, _, function in error.frames]
    assert fail.__code__.co_firstlineno + 1 == error.frames[0][1]
    recorded = scout.transaction
    assert (True, "ValueError", "no such plan: ?") == (recorded.is_error, recorded.error, recorded.message)


def test_a_recorded_exception_keeps_no_object_alive(scout):
    class Held:
        pass

    def fail():
        held = Held()
        references.append(weakref.ref(held))
        error = ValueError("text")
        error.held = held
        raise error

    references = []
    with pytest.raises(ValueError, match="text"), transaction("Controller/home") as home:
        fail()

    gc.collect()
    assert home.is_error
    assert [None] == [reference() for reference in references]


def test_the_innermost_frames_of_a_deep_traceback_are_kept(scout):
    def descend(depth):
        if depth == 0:
            raise RecursionError
        descend(depth - 1)

    with pytest.raises(RecursionError), transaction("Controller/home") as home:
        descend(200)

    (error,) = home.errors
    assert (MAX_FRAMES, {"frames": 152}) == (len(error.frames), error.left_out)
    assert [descend.__code__.co_firstlineno + 2, descend.__code__.co_firstlineno + 3] == [
        line for _, line, _ in error.frames[:2]
    ]


def test_an_unprintable_exception_is_an_error(scout):
    raised = Unprintable()
    with pytest.raises(Unprintable) as caught, transaction("Controller/home"):
        raise raised

    assert caught.value is raised
    assert scout.transaction.is_error
    assert scout.transaction.error.endswith("Unprintable")
    assert "no text" not in scout.transaction.message


def test_an_exception_is_only_converted_to_text_once(scout):
    calls = []

    class Recording(Exception):
        def __str__(self):
            calls.append("text")
            return "text"

        def fail(self, *args):
            calls.append("something else")
            raise RuntimeError

        __repr__ = __eq__ = __ne__ = __bool__ = __hash__ = __len__ = fail
        args = property(fail)

    raised = Recording()
    try:
        with transaction("Controller/home"), span("SQL/Query"):
            raise raised
    except Recording as error:
        assert error is raised
    scout.report()

    assert ["text"] == calls
    assert "text" == scout.transaction.message


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_exceptions_that_end_a_program_or_a_task_are_not_errors(scout, kind):
    raised = kind()
    with pytest.raises(kind) as caught, transaction("Controller/home") as home:
        raise raised

    assert caught.value is raised
    assert (False, ()) == (home.is_error, home.errors)
    assert ["Controller/home"] == scout.operations


@pytest.mark.skipif(sys.version_info < (3, 11), reason="not on python 3.10: it has no exception groups")
def test_a_group_of_exceptions_is_an_error_and_a_group_of_interrupts_is_not(scout):
    for group in (ExceptionGroup("several", [ValueError()]), BaseExceptionGroup("several", [KeyboardInterrupt()])):  # noqa: F821
        with pytest.raises(type(group)) as caught, transaction("Controller/home"):
            raise group
        assert caught.value is group

    assert [True, False] == [recorded.is_error for recorded in scout.transactions]


def test_a_true_error_tag_marks_a_transaction_as_an_error(scout):
    with transaction("Controller/home", error=True):
        pass

    assert (True, None) == (scout.transaction.is_error, scout.transaction.error)


def test_an_ignored_transaction_is_in_no_report_and_its_later_spans_are_not_recorded(scout):
    with transaction("Controller/health") as health:
        with span("SQL/Before"):
            pass
        health.ignore("too many")
        assert current_transaction() is None
        with span("SQL/After") as after:
            pass
        with transaction("Job/inline"):
            pass

    assert 0.0 == after.duration
    assert [("Controller/health", "too many")] == scout.ignored
    assert [] == scout.operations
    assert () == scout.report().transactions
    counters = scout.agent.counters()
    assert (1, {"ignored": 1}, 0) == (counters.finished, counters.dropped, counters.late_spans)


def test_the_first_reason_to_ignore_is_kept(scout):
    with transaction("Controller/health") as health:
        health.ignore("by path")
        health.ignore("sampled")

    assert [("Controller/health", "by path")] == scout.ignored
    assert {"ignored": 1} == scout.agent.counters().dropped


def test_ignoring_a_nested_transaction_ignores_the_outer_transaction(scout):
    with transaction("Controller/home"), transaction("Job/inline") as inner:
        inner.ignore()

    assert [("Controller/home", "by the application")] == scout.ignored


def test_a_transaction_can_be_ignored_before_its_start_but_not_after_its_end(scout):
    early = transaction("Controller/early")
    early.ignore("early")
    with early:
        pass
    with transaction("Controller/late") as late, transaction("Job/inline") as inner:
        pass
    late.ignore("late")
    inner.ignore("late")
    assert ["Job/inline", "Controller/late"] == scout.operations
    late.ignore("later")
    inner.ignore("later")

    assert [("Controller/early", "early")] == scout.ignored


def test_an_ignored_transaction_that_fails_does_not_keep_the_exception(scout):
    with pytest.raises(ValueError, match="text"), transaction("Controller/health") as health:
        health.ignore()
        raise ValueError("text")

    assert () == health.errors
    assert [("Controller/health", "by the application")] == scout.ignored


@pytest.mark.scout(max_spans=10)
def test_spans_beyond_the_limit_are_counted_and_summed(scout):
    spans = []
    with transaction("Controller/report") as report:
        for number in range(25):
            with span("SQL/Query" if number % 2 else "Template/Render") as recorded:
                spans.append(recorded)

    merged = [recorded for recorded in spans if recorded not in report.spans]
    expected = {
        name: [len(of_name), sum(recorded.stop_ns - recorded.start_ns for recorded in of_name)]
        for name in ("SQL/Query", "Template/Render")
        for of_name in [[recorded for recorded in merged if recorded.operation == name]]
    }
    assert expected == {name: figures[:2] for name, figures in report.merged.items()}
    assert 10 == len(report.spans)
    assert 15 == sum(figures[0] for figures in report.merged.values())
    (metrics,) = scout.report().transactions
    assert (12, 13) == (metrics.kinds["SQL"].count, metrics.kinds["Template"].count)
    assert (25, 15) == (scout.agent.counters().spans, scout.agent.counters().spans_merged)


@pytest.mark.scout(max_spans=0)
def test_the_number_of_names_beyond_the_limit_of_spans_is_limited(scout):
    with transaction("Controller/report") as report:
        for number in range(5 * MAX_MERGED):
            with span(f"SQL/{number}"):
                pass

    assert MAX_MERGED + 1 == len(report.merged)
    assert 5 * MAX_MERGED == sum(figures[0] for figures in report.merged.values())
    assert 4 * MAX_MERGED == report.merged["Other/other"][0]


@pytest.mark.scout(max_spans=500)
def test_spans_of_many_threads_are_counted_exactly(scout):
    def work():
        for _ in range(1000):
            with span("SQL/Query"):
                pass

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with transaction("Controller/report") as report:
            threads = [Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert 8000 == len(report.spans) + report.merged["SQL/Query"][0]
    assert 500 <= len(report.spans) < 500 + len(threads)
    (metrics,) = scout.report().transactions
    assert 8000 == metrics.kinds["SQL"].count


def test_transactions_of_many_threads_are_counted_exactly(scout):
    def work(number):
        for _ in range(200):
            with transaction(f"Job/{number}"), span("SQL/Query"):
                pass

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {f"Job/{number}": 200 for number in range(8)} == {
        metrics.name: metrics.count for metrics in scout.report().transactions
    }


@pytest.mark.scout(max_queue=3)
def test_transactions_for_a_full_inbox_are_counted_without_being_examined(scout):
    for _ in range(5):
        with transaction("Job/mail.send"):
            pass

    counters = scout.agent.counters()
    assert (5, 5, {}) == (counters.finished, counters.queued, counters.dropped)
    assert 3 == len(scout.transactions)
    assert [5] == [metrics.count for metrics in scout.report().transactions]


def test_a_transaction_object_that_is_entered_again_is_recorded_once(scout):
    job = transaction("Job/mail.send")
    with job, job:
        pass
    duration = job.duration
    with job, span("Job/Step"):
        assert context.current.get() is None
    with transaction("Controller/home") as home:
        with job:
            assert context.current.get() is home
        assert context.current.get() is home

    assert ["Job/mail.send", "Controller/home"] == scout.operations
    assert duration == job.duration
    assert 0 == scout.agent.counters().late_spans


def test_a_transaction_that_is_open_when_the_agent_stops_is_not_recorded(scout):
    with transaction("Controller/home"):
        scout.agent.stop(0)
        with span("SQL/Query"):
            pass
    with transaction("Controller/next"):
        assert current_transaction() is None

    assert [] == scout.operations


def test_an_exception_raised_at_the_start_of_a_transaction_leaves_nothing_open(scout):
    """A signal handler may raise in a plugin's function, as those of Celery and gunicorn do to enforce a timeout."""

    def interrupt(transaction):
        if transaction.operation == "Job/interrupted":
            raise KeyboardInterrupt

    add(scout, "on_request_start", interrupt)
    with pytest.raises(KeyboardInterrupt), transaction("Job/interrupted"):
        pytest.fail("the transaction started")
    assert context.current.get() is None
    with transaction("Job/next"):
        pass

    assert ["Job/next"] == scout.operations


@pytest.mark.parametrize("clock", ["time", "perf_counter_ns"])
@pytest.mark.parametrize("calls", [1, 2])
def test_an_exception_raised_while_a_clock_is_read_leaves_nothing_open(scout, monkeypatch, clock, calls):
    readings = iter(range(1, 10))

    def interrupt():
        if next(readings) == calls:
            raise KeyboardInterrupt
        return 1

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(transaction_module, clock, interrupt)
        with transaction("Job/interrupted"):
            pass
    assert context.current.get() is None
    with transaction("Job/next"):
        pass

    assert "Job/next" == scout.operations[-1]


def test_an_exception_raised_at_the_end_of_a_transaction_leaves_nothing_open(scout):
    class Interrupting(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(Interrupting), transaction("Job/interrupted"):
        raise Interrupting
    assert context.current.get() is None
    with transaction("Job/next"):
        pass

    assert ["Job/interrupted", "Job/next"] == scout.operations


def test_a_signal_handler_that_records_can_interrupt_every_line_of_ours(scout):
    folder = str(Path(transaction_module.__file__).parent)

    def run_with_a_handler_at(number):
        """Record from a handler at one of our lines; return whether there are so many lines."""
        lines = iter(range(1, 1000))

        def trace(frame, event, argument):
            if event == "line" and frame.f_code.co_filename.startswith(folder) and next(lines) == number:
                sys.settrace(None)
                with transaction("Job/handler"), span("SQL/Handler"):
                    pass
                arrived.append(number)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with transaction("Controller/home"), span("SQL/Query"):
                pass
        finally:
            sys.settrace(before)
        return len(arrived) == number

    arrived = []
    runs = 1
    while run_with_a_handler_at(runs):
        assert context.current.get() is None
        runs += 1

    assert runs > 40
    operations = [recorded.operation for entry in scout.transactions for recorded in (entry, *entry.spans)]
    assert (runs, runs) == (operations.count("Controller/home"), operations.count("SQL/Query"))
    recorded_handlers = operations.count("Job/handler")
    # A handler after the end of the transaction, but before the end of its record, is late and only counted.
    assert runs - 10 < recorded_handlers < runs


@pytest.mark.scout(traces_per_period=0)
def test_a_transaction_is_freed_without_a_collection_when_the_agent_has_processed_it(scout):
    gc.disable()
    try:
        with transaction("Controller/home") as home, span("SQL/Query") as query:
            pass
        references = [weakref.ref(home)]
        del home
        scout.agent.recorder.work()
        assert [None] == [reference() for reference in references]
        assert query.parent is None
        assert query.transaction.is_finished
    finally:
        gc.enable()


@pytest.mark.scout(traces_per_period=0)
def test_a_transaction_that_the_application_keeps_does_not_keep_its_spans(scout):
    with transaction("Controller/home", plan="gold") as home, span("SQL/Query"):
        pass
    scout.agent.recorder.work()

    assert [] == home.spans
    assert ("Controller/home", {"plan": "gold"}) == (home.operation, home.tags)
    assert home.duration > 0


def test_a_task_that_outlives_its_transaction_does_not_keep_its_spans(scout):
    async def background(go):
        await go.wait()
        return context.current.get()

    async def main():
        go = asyncio.Event()
        with transaction("Controller/home"), span("Task/Outer"):
            task = asyncio.create_task(background(go))
            with span("SQL/Query"):
                pass
            await asyncio.sleep(0)
        assert 2 == len(scout.traces()[0].spans)
        go.set()
        return await task

    held = asyncio.run(main())

    assert ("Task/Outer", None, []) == (held.operation, held.parent, held.transaction.spans)


def test_a_transaction_of_the_kind_controller_is_a_web_request():
    assert transaction("Controller/shop.home").is_web
    assert not transaction("Job/mail.send").is_web
    assert not transaction("Controllers/home").is_web
    assert transaction("Job/mail.send").path is None


def test_an_error_in_masking_the_message_does_not_affect_the_exception_of_the_application(scout, monkeypatch):
    def broken(*args):
        raise RuntimeError("our own error")

    monkeypatch.setattr("scout_core.text.message.masked_message", broken)
    error = ValueError("of the application")
    with pytest.raises(ValueError, match="of the application") as caught, transaction("Controller/home") as home:
        raise error

    assert error is caught.value
    assert (None, None) == (error.__context__, error.__cause__)
    assert "<message could not be read>" == home.errors[0].message
