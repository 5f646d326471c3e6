"""The calls that led to a slow span."""

from __future__ import annotations

import asyncio
import sys

import pytest

from scout_core import Transaction, span, transaction
from scout_core.application_code import AGENT
from scout_core.recording.stacks import MOST_STACKS
from scout_core.testing import recording
from scout_core.tracebacks import MAX_FRAMES
from tests.workbench import plugin

ALWAYS = {"slow_span_seconds": 1e-9}
HERE = __file__


def stacks(scout):
    """Return the calls that led to each slow span of the only trace, by operation."""
    (trace,) = scout.traces()
    operations = {record.id: record.operation for record in trace.spans}
    return {operations[stack.span]: stack for stack in trace.stacks}


def functions(frames):
    """Return the functions of this file, innermost first."""
    return [function for file, _, function in frames if file == HERE]


def query():
    with span("SQL/Query"):
        pass


def page():
    query()


@pytest.mark.scout(**ALWAYS)
def test_the_calls_around_a_slow_span_are_noted_innermost_first(scout):
    with transaction("Controller/home"):
        page()

    stack = stacks(scout)["SQL/Query"]
    here = sys._getframe().f_code
    lines = {function: line for file, line, function in stack.frames if file == HERE}
    assert ["query", "page", here.co_name] == functions(stack.frames)
    assert query.__code__.co_firstlineno < lines["query"] <= query.__code__.co_firstlineno + 2
    assert (len(stack.frames), (True, True, True)) == (len(stack.in_app), stack.in_app[:3])


@pytest.mark.scout(**ALWAYS)
def test_no_call_of_the_agent_is_noted_however_a_span_is_made(scout):
    @span("Cart/Decorated")
    def decorated():
        query()

    @span("Cart/Generated")
    def generated():
        query()
        yield

    with transaction("Controller/home"):
        decorated()
        list(generated())
        span("Cart/Begun").begin().end()

    found = stacks(scout)
    assert {"Cart/Decorated", "Cart/Generated", "Cart/Begun", "SQL/Query"} <= set(found)
    assert [] == [frame for stack in found.values() for frame in stack.frames if frame[0].startswith(AGENT)]
    assert {"Cart/Begun": HERE, "SQL/Query": HERE, "Cart/Decorated": HERE, "Cart/Generated": HERE} == {
        operation: stack.frames[0][0] for operation, stack in found.items() if operation != "Controller/home"
    }


@pytest.mark.parametrize("settings", [{}, {"slow_span_seconds": 0}, {"slow_span_seconds": 60}])
def test_a_span_that_is_not_slow_has_none(settings):
    with recording(plugins_autoload=False, **settings) as scout:
        with transaction("Controller/home"):
            page()

        assert {} == stacks(scout)


@pytest.mark.scout(**ALWAYS)
def test_the_calls_of_a_coroutine_are_those_that_await_it(scout):
    async def query():
        with span("SQL/Query"):
            await asyncio.sleep(0)

    async def page():
        with transaction("Controller/home"):
            await query()

    asyncio.run(page())

    assert ["query", "page"] == functions(stacks(scout)["SQL/Query"].frames)[:2]


@pytest.mark.scout(**ALWAYS)
def test_a_span_that_fails_has_its_calls_too(scout):
    with pytest.raises(KeyError), transaction("Controller/home"), span("SQL/Query"):
        raise KeyError

    assert ["test_a_span_that_fails_has_its_calls_too"] == functions(stacks(scout)["SQL/Query"].frames)


def deep(levels):
    if levels:
        deep(levels - 1)
    else:
        query()


@pytest.mark.scout(**ALWAYS)
def test_a_deep_stack_is_cut_at_its_outer_end(scout):
    with transaction("Controller/home"):
        deep(200)

    stack = stacks(scout)["SQL/Query"].frames
    assert (MAX_FRAMES, "query", "deep") == (len(stack), stack[0][2], stack[-1][2])


@pytest.mark.scout(**ALWAYS)
def test_the_number_of_stacks_is_limited_and_the_others_are_counted(scout):
    with transaction("Controller/home"):
        for _ in range(MOST_STACKS + 3):
            query()

    (trace,) = scout.traces()
    assert (3, MOST_STACKS) == (trace.stacks_left_out, len(trace.stacks))


def test_a_plugin_can_note_the_calls_of_what_it_finds_slow():
    def on_span(span):
        if span.kind == "SQL":
            span.note_stack()

    with recording(plugins=[plugin("slow", on_span=on_span)], plugins_autoload=False) as scout:
        with transaction("Controller/home"), span("Template/Render"):
            page()

        found = stacks(scout)
        assert (["SQL/Query"], ["on_span", "query", "page"]) == (list(found), functions(found["SQL/Query"].frames)[:3])


@pytest.mark.scout(**ALWAYS)
def test_a_transaction_from_a_stored_trace_has_the_calls(scout):
    with transaction("Controller/home"):
        page()

    (trace,) = scout.traces()
    rebuilt = Transaction.from_trace(trace)
    assert [trace.stacks[0].frames] == [recorded.stack for recorded in rebuilt.spans]


def test_outside_a_transaction_nothing_is_noted(scout):
    lonely = span("SQL/Query").begin()
    lonely.note_stack()

    assert () == lonely.stack
