"""Transactions that begin inside another one and are not a part of it: ``detach``."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread

import pytest

from scout_core import current_transaction, span, trace_headers, transaction
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.measuring.report import Trace
from scout_core.recording import context
from scout_core.recording.transaction import Transaction
from scout_core.testing import recording
from tests.workbench import Keeper, exporting, plugin, running


def elsewhere(function, *arguments):
    """Call it on another thread, which has a context of its own."""
    thread = Thread(target=function, args=arguments)
    thread.start()
    thread.join()


def found(scout):
    return [(job.operation, [(seen.operation, seen.parent) for seen in job.spans]) for job in scout.transactions]


def test_it_does_not_nest_and_the_outer_one_is_current_again_afterwards(scout):
    with transaction("Controller/home") as home, span("Template/Render") as render:
        with transaction("Job/report").detach() as report, span("SQL/Query"):
            assert report is current_transaction()
        assert (render, home) == (context.current.get(), current_transaction())
        with span("SQL/After"):
            pass

    assert [
        ("Job/report", [("SQL/Query", "Job/report")]),
        ("Controller/home", [("SQL/After", "Template/Render"), ("Template/Render", "Controller/home")]),
    ] == found(scout)


def test_its_trace_and_the_policies_know_what_started_it(scout):
    with transaction("Controller/home") as home, span("Template/Render") as render:
        with transaction("Job/report").detach():
            pass
        began_in = render.span_id

    report, web = sorted(scout.traces(), key=lambda trace: trace.name, reverse=True)
    assert (f"{home.id:016x}", "") == (report.started_by, web.started_by)
    assert (web.trace_id, began_in) == (report.trace_id, report.parent_span_id)
    assert {began_in: 1} == web.calls
    assert home.id == Transaction.from_trace(report).started_by


def test_outside_another_transaction_it_is_like_any_other(scout):
    with transaction("Job/report").detach(), span("SQL/Query"):
        pass

    assert [("Job/report", [("SQL/Query", "Job/report")])] == found(scout)
    assert ("", "") == (scout.transaction.started_by, scout.transaction.parent_span_id)


def test_inside_it_transactions_nest_as_ever_and_further_ones_detach(scout):
    with transaction("Controller/home") as home:
        with transaction("Job/outer").detach() as outer, transaction("Job/inner"):
            with transaction("Job/second").detach() as second:
                pass
            assert outer is current_transaction()
        assert home is current_transaction()

    assert ["Job/second", "Job/inner", "Job/outer", "Controller/home"] == scout.operations
    assert [outer.span_id, home.span_id, ""] == [job.started_by for job in scout.transactions]
    assert second.trace_id == home.trace_id


def test_an_error_in_it_is_its_own(scout):
    with transaction("Controller/home"):
        with pytest.raises(KeyError), transaction("Job/report").detach():
            raise KeyError("plan")

    assert [("Job/report", "KeyError"), ("Controller/home", None)] == [
        (job.operation, job.error) for job in scout.transactions
    ]


def test_a_background_task_after_the_response_does_not_lengthen_its_request(scout):
    async def respond(tasks):
        async def background():
            await asyncio.sleep(0.05)
            with span("Mail/Send"):
                pass

        with transaction("Controller/home") as web:
            web.end()  # the last message has been sent
            with transaction("Job/background").detach(started_by=web):
                await background()

    asyncio.run(respond([]))

    web, job = scout.transactions
    assert (web.span_id, ["Mail/Send"]) == (job.started_by, [seen.operation for seen in job.spans])
    assert (web.trace_id, web.span_id) == (job.trace_id, job.parent_span_id)
    assert web.duration < 0.05 <= job.duration


def test_begun_in_a_task_it_outlives_the_request(scout):
    async def background(go):
        with transaction("Job/background").detach():
            await go.wait()
            with span("SQL/Query"):
                pass

    async def main():
        go = asyncio.Event()
        with transaction("Controller/home"):
            task = asyncio.create_task(background(go))
            await asyncio.sleep(0)
        go.set()
        await task

    asyncio.run(main())

    assert [("Controller/home", []), ("Job/background", [("SQL/Query", "Job/background")])] == found(scout)


def test_ended_elsewhere_the_outer_one_is_what_later_spans_are_in(scout):
    with transaction("Controller/home") as home:
        job = transaction("Job/report").detach().begin()
        child = span("SQL/Open").begin()
        elsewhere(job.end)
        assert home is current_transaction()
        with span("SQL/Query"):
            pass
        with transaction("Job/inner"):
            pass
        child.end()

    assert [
        ("Job/report", []),
        ("Controller/home", [("SQL/Query", "Controller/home"), ("Job/inner", "Controller/home")]),
    ] == found(scout)
    assert (None, 1) == (context.current.get(), scout.agent.counters().late_spans)


def test_the_end_of_the_outer_one_inside_it_leaves_it_current(scout):
    outer = transaction("Controller/home").begin()
    with transaction("Job/report").detach() as job, span("Template/Render") as render:
        outer.end()
        assert (render, job) == (context.current.get(), current_transaction())
        with span("SQL/Query"):
            pass
    with transaction("Job/next"):
        pass

    assert [
        ("Controller/home", []),
        ("Job/report", [("SQL/Query", "Template/Render"), ("Template/Render", "Job/report")]),
        ("Job/next", []),
    ] == found(scout)
    assert None is context.current.get()


def test_a_block_of_the_outer_one_that_ends_first_leaves_both(scout):
    with transaction("Controller/home"):
        job = transaction("Job/report").detach().begin()
    with transaction("Job/next"), span("SQL/Query"):
        pass
    job.end()

    assert [("Controller/home", []), ("Job/next", [("SQL/Query", "Job/next")]), ("Job/report", [])] == found(scout)
    assert None is context.current.get()


def test_inside_an_ignored_transaction_it_is_recorded_and_not_linked(scout):
    with transaction("Controller/health") as health:
        health.ignore()
        with transaction("Job/report").detach(), span("SQL/Query"):
            pass
        assert None is current_transaction()

    assert ([("Job/report", [("SQL/Query", "Job/report")])], "") == (found(scout), scout.transaction.started_by)


def test_after_its_begin_or_with_anything_but_a_transaction_it_changes_nothing_and_is_counted(scout):
    with transaction("Controller/home") as home:
        with transaction("Job/inner") as inner:
            assert (home, inner) == (home.detach(), inner.detach())
        with transaction("Job/other").detach(5), transaction("Job/third").detach(span("SQL/Query")):
            pass

    assert ["Job/inner", "Job/third", "Job/other", "Controller/home"] == [*scout.operations]
    assert (1, 4) == (len(scout.transactions), scout.agent.counters().invalid_values)


def test_one_that_is_made_twice_begins_once(scout):
    job = transaction("Job/report").detach().detach()
    with transaction("Controller/home"):
        job.begin().begin()
        with job:
            pass
        job.end()

    assert ["Job/report", "Controller/home"] == scout.operations


def test_as_a_decorator_it_detaches_each_call(scout):
    @transaction("Job/report", queue="low").detach()
    def report():
        with span("SQL/Query"):
            return 3

    with transaction("Controller/home"):
        assert [3, 3] == [report(), report()]

    assert ["SQL/Query", "Job/report"] * 2 + ["Controller/home"] == scout.operations
    assert {"queue": "low"} == scout.transactions[0].tags


def test_a_function_that_returns_a_future_leaves_the_outer_one_current(scout):
    @transaction("Job/report").detach()
    def submit():
        return future

    future = Future()
    with transaction("Controller/home") as home:
        submit()
        assert home is current_transaction()
        with span("SQL/Query"):
            pass
    future.set_result(1)

    assert ["SQL/Query", "Controller/home", "Job/report"] == scout.operations


@pytest.mark.parametrize("is_generator", [False, True])
def test_a_describer_may_return_one(scout, is_generator):
    def work():
        with span("SQL/Query"):
            return current_transaction()

    def describe():
        return transaction("Job/report").detach()

    def describe_with_result():
        yield transaction("Job/report").detach()

    describer = describe_with_result if is_generator else describe
    wrapped = describing_wrapper(work, Guard("shop", "work", describer, has_steps=is_generator), is_root=True)
    with transaction("Controller/home") as home:
        assert "Job/report" == wrapped().operation
        assert home is current_transaction()

    assert ["SQL/Query", "Job/report", "Controller/home"] == scout.operations


def test_a_hook_cannot_begin_one():
    def on_request_start(transaction):
        Transaction("Job/hook").detach().begin().end()

    with recording(plugins=[plugin("hooks", on_request_start=on_request_start)]) as scout:
        with transaction("Controller/home"):
            pass

        assert (["Controller/home"], 1) == (scout.operations, scout.agent.counters().in_hooks)


def test_kept_open_it_outlives_its_block_and_the_outer_one(scout):
    with transaction("Controller/home") as home:
        with transaction("Job/stream").detach() as job:
            job.keep_open()
        assert home is current_transaction()
    job.end()

    assert ["Controller/home", "Job/stream"] == scout.operations


def test_a_caller_named_in_headers_is_stronger_than_the_one_that_starts_it(scout):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with transaction("Controller/home") as home:
        job = transaction("Job/report").continue_from({"traceparent": parent}).detach()
        with job:
            assert parent[3:35] == trace_headers()["traceparent"][3:35]

    assert (home.span_id, "00f067aa0ba902b7") == (
        scout.transactions[0].started_by,
        scout.transactions[0].parent_span_id,
    )


@pytest.mark.parametrize("started_by", ["", "x", "0" * 17, "-" + "1" * 15, "G" * 16])
def test_a_stored_trace_with_another_form_of_id_is_read(started_by):
    stored = Trace(
        id="a" * 16, name="Job/report", start=1.0, duration=1.0, queue_time=None, is_error=False, error=None, tags={}, score=0.0,
        policies={}, spans=(), started_by=started_by,
    )  # fmt: skip

    assert (False, 0) == (Transaction.from_trace(stored).is_detached, Transaction.from_trace(stored).started_by)


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_jobs_that_overlap_do_not_lose_the_request_around_them(scout, order, inside):
    """As those of a queue in memory, whose signals report the beginning and the end of each."""
    with transaction("Controller/shop") as web:
        jobs = []
        for number in range(3):
            jobs.append(transaction(f"Job/{number}").detach().begin())
            if inside:
                span("SQL/Query").begin()  # never ended
        for number in order:
            jobs[number].end()
        assert web is current_transaction()
        with span("SQL/After"), transaction("Job/part"):
            pass

    assert ["SQL/After", "Job/part"] == [seen.operation for seen in reversed(scout.transactions[-1].spans)]
    assert 4 == len(scout.transactions)


def test_many_jobs_that_overlap_hold_none_of_the_others(scout):
    with transaction("Controller/shop") as web:
        before = transaction("Job/0").detach().begin()
        for number in range(1, 50):
            job = transaction(f"Job/{number}").detach().begin()
            before.end()
            before = job
            assert job.own_before is web
        before.end()
        assert web is current_transaction()


def test_the_trace_that_is_chosen_last_counts(scout):
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    with transaction("Controller/shop") as web:
        pass
    with transaction("Job/a").detach(started_by=web).continue_from(headers) as first:
        pass
    with (
        transaction("Job/b")
        .continue_from({"traceparent": f"00-{'c' * 32}-{'b' * 16}-01"})
        .continue_from(headers) as second
    ):
        pass
    with transaction("Job/c").detach(started_by=web).continue_from({"x": "no trace"}) as third:
        pass

    assert ["a" * 32, "a" * 32, web.trace_id] == [first.trace_id, second.trace_id, third.trace_id]
    assert 0 == scout.agent.counters().invalid_values


def transactions():
    gc.collect()
    return sum(type(found) is Transaction for found in gc.get_objects())


def in_thread(end):
    elsewhere(end)


def in_context(end):
    copy_context().run(end)


def in_task(end):
    async def ending():
        end()

    asyncio.run(ending())


@pytest.mark.parametrize("run", [in_thread, in_context, in_task])
def test_a_job_that_ends_elsewhere_does_not_lose_the_request_around_it(scout, run):
    with transaction("Controller/shop") as web:
        job = transaction("Job/mail").detach().begin()
        run(job.end)
        assert web is current_transaction()
        with span("SQL/After"):
            pass
        jobs = [transaction(f"Job/{number}").detach().begin() for number in range(3)]
        for job in jobs:
            run(job.end)
        assert web is current_transaction()

    assert ["SQL/After"] == [seen.operation for seen in scout.transactions[-1].spans]


@pytest.mark.parametrize("run", [in_thread, in_context])
def test_a_span_of_a_job_that_ended_with_it_elsewhere_leads_back_also_when_the_job_has_been_sent(scout, run):
    with transaction("Controller/shop") as web:
        job = transaction("Job/mail").detach().begin()
        query = span("SQL/Query").begin()
        run(query.end)
        run(job.end)
        assert web is current_transaction()
        scout.report()
        assert web is current_transaction()
        with span("SQL/After"):
            pass

    assert ["SQL/After"] == [seen.operation for seen in scout.transactions[-1].spans]


def test_jobs_that_are_not_recorded_and_overlap_do_not_lose_it_either():
    for settings in ({"job_sample_rate": 0}, {"ignore_jobs": ["Job", "0", "1", "2"]}):
        with running(exporting(Keeper()), threaded=False, **settings), transaction("Controller/shop") as web:
            jobs = [transaction(f"Job/{number}").detach().begin() for number in range(3)]
            for job in jobs:
                job.end()
            assert web is current_transaction()


@pytest.mark.parametrize("run", [in_thread, in_context])
def test_a_pipeline_of_jobs_that_end_elsewhere_keeps_none_of_them(scout, run):
    known = transactions()
    with transaction("Controller/shop"):
        before = transaction("Job/0").detach().begin()
        for number in range(1, 200):
            job = transaction(f"Job/{number}").detach().begin()
            run(before.end)
            before = job
        before.end()
        before = job = None
        scout.report()
        scout.forget()
        assert transactions() < known + 10


def test_headers_in_a_hook_do_not_change_a_trace_that_is_known():
    seen = []

    def on_request_start(transaction):
        seen.append(transaction.trace_id)
        transaction.continue_from({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        seen.append(transaction.trace_id)

    with recording(plugins=[plugin("hooks", on_request_start=on_request_start)]) as scout:
        with transaction("Job/a"):
            pass
        assert 1 == scout.agent.counters().invalid_values

    assert seen[0] == seen[1] != "a" * 32
