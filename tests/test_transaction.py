"""Transactions: begin, nest, ignore, fail, overflow, end."""

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
from scout_core.recording.transaction import MAX_MERGED
from scout_core.tracebacks import MAX_FRAMES


class Refuses(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def add(scout, hook, function):
    """Make the function the implementation of a hook, as a plugin's."""
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
    seen = scout.transaction
    assert ("Controller/shop.home", {"plan": "gold", "items": 3}, None) == (seen.operation, seen.tags, seen.parent)
    assert 0 < seen.duration <= after - before + 0.001
    assert (False, None, None) == (seen.is_error, seen.error, seen.message)


def test_ids_are_random_and_a_nested_one_has_none(scout):
    made = []
    for _ in range(100):
        with transaction("Job/a") as outer, transaction("Job/b") as inner:
            made.append(outer.id)
            assert 0 == inner.id

    assert 100 == len({*made, 0}) - 1
    assert max(made).bit_length() > 50
    assert all(0 < one < 1 << 64 for one in made)


def test_without_an_agent_it_does_nothing():
    with transaction("Controller/home") as home:
        assert current_transaction() is None
        home.tag("plan", "gold")
        home.ignore()

    assert (0, 0.0, 0.0) == (home.id, home.started, home.duration)


def test_a_transaction_inside_another_is_a_span_of_it(scout):
    with transaction("Controller/home") as outer:
        with transaction("Job/inline", queue="low") as inner, span("Job/Step"):
            assert current_transaction() is outer
        assert context.current.get() is outer

    assert ["Job/Step", "Job/inline", "Controller/home"] == scout.operations
    step, nested = scout.transaction.spans
    assert ("Job/inline", "Controller/home") == (step.parent, nested.parent)
    assert {"queue": "low"} == nested.tags
    assert inner.transaction is not inner


def test_in_a_thread_of_its_own_it_is_a_transaction_of_its_own(scout):
    def work():
        with transaction("Job/thread"):
            pass

    with transaction("Controller/home"):
        for target in (work, lambda: contextvars.copy_context().run(work)):
            thread = Thread(target=target)
            thread.start()
            thread.join()

    assert ["Job/thread", "Job/thread", "Controller/home"] == scout.operations
    assert [None, None, None] == [seen.parent for seen in scout.transactions]


def test_a_failing_one_tells_what_left_it_and_where(scout):
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
    assert ValueError is home.raised.kind
    assert "no such plan: ?" == home.raised.message
    here = test_a_failing_one_tells_what_left_it_and_where.__code__
    assert [fail.__code__, here] == [code for code, _ in home.raised.frames]
    assert fail.__code__.co_firstlineno + 1 == home.raised.frames[0][1]
    seen = scout.transaction
    assert (True, "ValueError", "no such plan: ?") == (seen.is_error, seen.error, seen.message)


def test_what_is_known_of_an_exception_holds_on_to_no_object(scout):
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


def test_of_a_deep_traceback_the_innermost_frames_are_kept(scout):
    def descend(depth):
        if depth == 0:
            raise RecursionError
        descend(depth - 1)

    with pytest.raises(RecursionError), transaction("Controller/home") as home:
        descend(200)

    frames = home.raised.frames
    assert MAX_FRAMES == len(frames)
    assert [descend.__code__.co_firstlineno + 2, descend.__code__.co_firstlineno + 3] == [
        line for _, line in frames[:2]
    ]


def test_an_exception_that_cannot_be_shown_is_an_error_all_the_same(scout):
    raised = Refuses()
    with pytest.raises(Refuses) as caught, transaction("Controller/home"):
        raise raised

    assert caught.value is raised
    assert scout.transaction.is_error
    assert scout.transaction.error.endswith("Refuses")
    assert "no text" not in scout.transaction.message


def test_of_an_exception_nothing_is_asked_but_its_text_and_that_once(scout):
    asked = []

    class Asked(Exception):
        def __str__(self):
            asked.append("text")
            return "text"

        def refuse(self, *args):
            asked.append("something else")
            raise RuntimeError

        __repr__ = __eq__ = __ne__ = __bool__ = __hash__ = __len__ = refuse
        args = property(refuse)

    raised = Asked()
    try:
        with transaction("Controller/home"), span("SQL/Query"):
            raise raised
    except Asked as error:
        assert error is raised
    scout.report()

    assert ["text"] == asked
    assert "text" == scout.transaction.message


@pytest.mark.parametrize("leaves", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_program_or_a_task_is_no_error(scout, leaves):
    raised = leaves()
    with pytest.raises(leaves) as caught, transaction("Controller/home") as home:
        raise raised

    assert caught.value is raised
    assert (False, None) == (home.is_error, home.raised)
    assert ["Controller/home"] == scout.operations


@pytest.mark.skipif(sys.version_info < (3, 11), reason="not on python 3.10: it has no exception groups")
def test_a_group_of_exceptions_is_an_error_and_a_group_of_interrupts_is_none(scout):
    for group in (ExceptionGroup("several", [ValueError()]), BaseExceptionGroup("several", [KeyboardInterrupt()])):  # noqa: F821
        with pytest.raises(type(group)) as caught, transaction("Controller/home"):
            raise group
        assert caught.value is group

    assert [True, False] == [seen.is_error for seen in scout.transactions]


def test_the_tag_error_makes_it_an_error_without_an_exception(scout):
    with transaction("Controller/home", error=True):
        pass

    assert (True, None) == (scout.transaction.is_error, scout.transaction.error)


def test_an_ignored_one_records_nothing_more_and_is_in_no_figure(scout):
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


def test_the_first_reason_to_ignore_counts(scout):
    with transaction("Controller/health") as health:
        health.ignore("by path")
        health.ignore("sampled")

    assert [("Controller/health", "by path")] == scout.ignored
    assert {"ignored": 1} == scout.agent.counters().dropped


def test_ignoring_a_nested_one_ignores_the_whole(scout):
    with transaction("Controller/home"), transaction("Job/inline") as inner:
        inner.ignore()

    assert [("Controller/home", "by the application")] == scout.ignored


def test_ignoring_works_before_it_begins_and_does_nothing_after_it_ended(scout):
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


def test_an_ignored_one_that_fails_keeps_nothing_of_the_exception(scout):
    with pytest.raises(ValueError, match="text"), transaction("Controller/health") as health:
        health.ignore()
        raise ValueError("text")

    assert health.raised is None
    assert [("Controller/health", "by the application")] == scout.ignored


@pytest.mark.scout(max_spans=10)
def test_beyond_the_limit_spans_are_counted_and_summed(scout):
    made = []
    with transaction("Controller/report") as report:
        for number in range(25):
            with span("SQL/Query" if number % 2 else "Template/Render") as one:
                made.append(one)

    late = [one for one in made if one not in report.spans]
    expected = {
        name: [len(of_name), sum(one.stop_ns - one.start_ns for one in of_name)]
        for name in ("SQL/Query", "Template/Render")
        for of_name in [[one for one in late if one.operation == name]]
    }
    assert expected == {name: figures[:2] for name, figures in report.merged.items()}
    assert 10 == len(report.spans)
    assert 15 == sum(figures[0] for figures in report.merged.values())
    (metrics,) = scout.report().transactions
    assert (12, 13) == (metrics.kinds["SQL"].count, metrics.kinds["Template"].count)
    assert (25, 15) == (scout.agent.counters().spans, scout.agent.counters().spans_merged)


@pytest.mark.scout(max_spans=0)
def test_names_beyond_the_limit_are_bounded_too(scout):
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
def test_an_inbox_that_is_full_refuses_and_counts(scout):
    for _ in range(5):
        with transaction("Job/mail.send"):
            pass

    counters = scout.agent.counters()
    assert (5, 3, {"inbox full": 2}) == (counters.finished, counters.queued, counters.dropped)
    assert 3 == len(scout.transactions)


def test_an_object_is_one_transaction_however_often_it_is_used(scout):
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


def test_after_the_end_of_the_agent_an_open_one_ends_without_harm(scout):
    with transaction("Controller/home"):
        scout.agent.stop(0)
        with span("SQL/Query"):
            pass
    with transaction("Controller/next"):
        assert current_transaction() is None

    assert [] == scout.operations


def test_what_interrupts_its_beginning_leaves_nothing_open(scout):
    """A signal's handler may raise in a plugin's function, as those of Celery and gunicorn do to end what takes too long."""

    def interrupt(transaction):
        if transaction.operation == "Job/interrupted":
            raise KeyboardInterrupt

    add(scout, "on_request_start", interrupt)
    with pytest.raises(KeyboardInterrupt), transaction("Job/interrupted"):
        pytest.fail("it began")
    assert context.current.get() is None
    with transaction("Job/next"):
        pass

    assert ["Job/next"] == scout.operations


@pytest.mark.parametrize("clock", ["time", "perf_counter_ns"])
@pytest.mark.parametrize("calls", [1, 2])
def test_what_interrupts_it_while_a_clock_is_read_leaves_nothing_open(scout, monkeypatch, clock, calls):
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


def test_what_interrupts_its_end_leaves_nothing_open(scout):
    class Interrupts(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), transaction("Job/interrupted"):
        raise Interrupts
    assert context.current.get() is None
    with transaction("Job/next"):
        pass

    assert ["Job/next"] == scout.operations


def test_a_signal_s_handler_that_records_does_no_harm_wherever_it_arrives(scout):
    folder = str(Path(transaction_module.__file__).parent)

    def run_with_a_handler_at(number):
        """Call the handler at one line of ours; whether there are so many."""
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
    everything = [one.operation for seen in scout.transactions for one in (seen, *seen.spans)]
    assert (runs, runs) == (everything.count("Controller/home"), everything.count("SQL/Query"))
    at_the_end = everything.count("Job/handler")  # between the end of the transaction and that of its record it is late
    assert runs - 10 < at_the_end < runs


@pytest.mark.scout(traces_per_period=0)
def test_memory_is_freed_at_once_when_the_agent_is_done_with_it(scout):
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
def test_an_object_that_the_application_keeps_holds_on_to_no_span(scout):
    with transaction("Controller/home", plan="gold") as home, span("SQL/Query"):
        pass
    scout.agent.recorder.work()

    assert [] == home.spans
    assert ("Controller/home", {"plan": "gold"}) == (home.operation, home.tags)
    assert home.duration > 0


def test_a_task_that_goes_on_holds_on_to_no_span_of_its_transaction(scout):
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


def test_its_kind_tells_web_requests_from_jobs():
    assert transaction("Controller/shop.home").is_web
    assert not transaction("Job/mail.send").is_web
    assert not transaction("Controllers/home").is_web
    assert transaction("Job/mail.send").path is None


def test_a_fault_of_ours_in_masking_the_message_leaves_the_applications_exception_alone(scout, monkeypatch):
    def broken(error):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("scout_core.text.message.error_message", broken)
    error = ValueError("of the application")
    with pytest.raises(ValueError, match="of the application") as caught, transaction("Controller/home") as home:
        raise error

    assert error is caught.value
    assert (None, None) == (error.__context__, error.__cause__)
    assert "<message could not be read>" == home.raised.message
