"""Nothing is recorded while a hook runs, and a span of a plugin's own class is contained."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading

import pytest

from scout_core import Span, current_transaction, span, transaction
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.recording import context
from tests.workbench import Behaving, eventually, exporting, plugin, running


def trace(*arguments):
    with transaction("Job/hook"), span("SQL/Hook"):
        pass
    with span("SQL/Hook"):
        pass


APPLICATION = {
    "on_request_start": lambda transaction, config: trace(),
    "on_span": lambda span: trace(),
}
AGENT = {
    "on_request_end": lambda transaction: trace(),
    "on_error": lambda transaction, error: trace(),
    "on_keep": lambda transaction, score: trace(),
    "on_report": lambda report: trace(),
    "ignore_transaction": lambda transaction, config: trace(),
    "trace_group": lambda transaction: trace() or "group",
    "score_transaction": lambda transaction: trace() or 1.0,
    "on_start": lambda agent: trace(),
    "on_stop": lambda agent: trace(),
}


@pytest.mark.parametrize("hook", [*APPLICATION, *AGENT])
def test_a_hook_that_traces_is_called_once(hook):
    calls = []

    def count(*args):
        calls.append(args)

    function = {**APPLICATION, **AGENT}[hook]
    code = function.__code__
    names = ", ".join(code.co_varnames[: code.co_argcount])
    counting = eval(f"lambda {names}: (count({names}), function({names}))[1]", {"count": count, "function": function})
    with running(plugin("test_tracing", **{hook: counting}), threaded=False) as agent:
        with pytest.raises(KeyError), transaction("Controller/home"), span("SQL/Query"):
            raise KeyError("plan")
        agent.recorder.work()
        agent.recorder.close_period()
        counters = agent.counters()
        assert context.current.get() is None
        assert len(calls) == (hook != "on_stop")
        with transaction("Job/next"):
            assert current_transaction().operation == "Job/next"
        assert counters.finished == 1
        assert counters.in_hooks == (0 if hook == "on_stop" else 3)

    assert context.current.get() is None
    assert len(calls) <= 2


def test_a_hook_still_finds_the_transaction_that_it_is_called_in(scout):
    found = []
    scout.agent.plugins.add_object(
        plugin("test_finding", on_span=lambda span: found.append(current_transaction())), "test-finding"
    )
    scout.agent.freeze()
    with transaction("Controller/home") as home, span("SQL/Query"):
        pass

    assert [home] == found


def test_a_hook_of_the_start_finds_its_transaction_until_it_ignores_it():
    found = []

    def on_request_start(transaction):
        found.append(current_transaction() is transaction)
        trace()
        transaction.ignore("first")
        transaction.ignore("second")
        found.append(current_transaction())

    with running(plugin("test_ignore", on_request_start=on_request_start), threaded=False) as agent:
        with transaction("Controller/home") as home, span("SQL/Query") as query:
            pass
        counters = agent.counters()

    assert ([True, None], "first", 0.0) == (found, home.ignored, query.duration)
    assert (3, 0, {"ignored": 1}) == (counters.in_hooks, counters.late_spans, counters.dropped)


def test_a_transaction_is_open_again_after_the_hooks_of_its_start():
    with running(plugin("test_start", on_request_start=trace), threaded=False) as agent:
        with transaction("Controller/home") as home, span("SQL/Query"):
            assert current_transaction() is home
        assert (3, 1) == (agent.counters().in_hooks, len(home.spans))


@pytest.mark.parametrize("hook", APPLICATION)
def test_a_thread_of_a_request_records_while_hooks_of_that_request_run_elsewhere(hook):
    """Only the thread that runs the hook is silent: a thread in a copy of the context stays in the transaction."""
    entered, go = threading.Event(), threading.Event()

    def wait(*arguments):
        if threading.current_thread() is not slow:
            return
        entered.set()
        assert go.wait(20)

    def request():
        with transaction("Controller/slow"), span("SQL/Slow"):
            pass

    arguments = {"on_request_start": lambda transaction, config: wait(), "on_span": lambda span: wait()}
    slow = threading.Thread(target=request)
    with running(plugin("test_slow", **{hook: arguments[hook]}), threaded=False) as agent:
        slow.start()
        assert entered.wait(20)
        with transaction("Controller/home"), span("SQL/Query"):
            pass
        go.set()
        slow.join(20)
        assert ["Controller/home", "Controller/slow"] == [ended.operation for ended in agent.tracer.inbox]
        assert [1, 1] == [len(ended.spans) for ended in agent.tracer.inbox]


def test_a_task_that_a_hook_begins_can_trace_when_the_hook_is_over():
    async def work(go):
        await go.wait()
        with transaction("Job/task"):
            pass

    async def main():
        go = asyncio.Event()
        tasks = []
        begin = plugin("test_begin", on_span=lambda span: tasks.append(asyncio.ensure_future(work(go))))
        with running(begin, threaded=False) as agent:
            with transaction("Controller/home"), span("SQL/Query"):
                pass
            go.set()
            await tasks[0]
            return [ended.operation for ended in agent.tracer.inbox]

    assert ["Controller/home", "Job/task"] == asyncio.run(main())


def test_a_hook_that_forks_leaves_no_child_that_runs_the_agents_loop():
    forked = threading.Event()
    children = []

    def fork(transaction):
        child = os.fork()
        if child:
            children.append(child)
            forked.set()

    with running(plugin("test_forking", on_request_end=fork)):
        for _ in range(3):
            with transaction("Job/a"):
                pass
        assert forked.wait(20)
    for child in children:
        _, status = os.waitpid(child, 0)
        assert 0 == os.waitstatus_to_exitcode(status)


class BreaksAtEntry(Span):
    def __enter__(self):
        super().__enter__()
        raise KeyError("plan")


class BreaksAtExit(Span):
    def __exit__(self, *error):
        raise GeneratorExit


class Swallows(transaction):
    def __exit__(self, *error):
        super().__exit__(*error)
        return True


def call():
    return 1


async def call_async():
    return 1


def fail():
    raise ValueError("of the application")


@pytest.mark.parametrize("kind, errors", [(BreaksAtEntry, 1), (BreaksAtExit, 1), (Swallows, 0)])
@pytest.mark.parametrize("has_steps", [False, True])
def test_a_span_of_a_plugins_own_class_is_contained(scout, kind, errors, has_steps):
    def describe():
        return kind("Shop/call")

    def steps():
        yield kind("Shop/call")

    def wrapped(function):
        guards.append(Guard("paying", "shop:call", steps if has_steps else describe, has_steps=has_steps))
        return describing_wrapper(function, guards[-1], is_root=False)

    guards = []
    with transaction("Controller/home"):
        assert 1 == wrapped(call)()
        assert 1 == asyncio.run(wrapped(call_async)())
        with pytest.raises(ValueError, match="of the application"):
            wrapped(fail)()
        assert current_transaction().operation == "Controller/home"

    assert [errors] * 3 == [guard.failures.count for guard in guards]
    assert ["Shop/call"] * 2 == scout.operations[:2]
    assert "Controller/home" == scout.operations[-1]


def fail_after_trace(report):
    trace()
    raise ConnectionError("nobody listens")


def trace_in_a_copied_context(report):
    """As ``asyncio.to_thread`` and ``propagate`` do."""
    thread = threading.Thread(target=contextvars.copy_context().run, args=(trace,))
    thread.start()
    thread.join()


def trace_in_a_loop(report):
    async def main():
        trace()

    asyncio.run(main())


EXPORTS = {
    "records": lambda report: trace(),
    "records and fails": fail_after_trace,
    "in a copied context": trace_in_a_copied_context,
    "in a loop": trace_in_a_loop,
}


@pytest.mark.parametrize("behave", EXPORTS.values(), ids=EXPORTS)
def test_an_exporter_that_records_has_nothing_to_export_because_of_that(behave):
    """Its thread is silent while it exports: it would have something to export in every period, and nobody calls the application."""
    exporter = Behaving("tracing", behave)
    with running(exporting(exporter), report_period=0.05) as agent:
        with transaction("Job/once"):
            pass
        eventually(lambda: agent.counters().in_hooks >= 2)
        counters = agent.counters()

    assert 1 == counters.finished
    assert {"Job/once"} >= {metrics.name for report in exporter.reports for metrics in report.transactions}


def test_a_thread_of_the_application_records_while_an_exporter_works():
    def behave(report):
        started.set()
        assert goes_on.wait(20)

    started, goes_on = threading.Event(), threading.Event()
    with running(exporting(Behaving("waiting", behave)), report_period=0.05) as agent:
        with transaction("Job/one"):
            pass
        assert started.wait(20)
        with transaction("Job/two"):
            pass
        goes_on.set()
        counters = agent.counters()

    assert (2, 0) == (counters.finished, counters.in_hooks)
