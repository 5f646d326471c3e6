"""Attributes that a hook or the application has set to something unusable: its calls return, and what is lost is counted."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.recording import context
from tests.workbench import is_balanced, plugin, running

OF_A_TRANSACTION = (
    "spans", "bounded", "size", "own_operation", "own_tags", "tracer", "transaction", "merged", "is_closed", "own_request", "environ",
    "stop_ns", "start_ns", "parent", "id", "ignored", "raised", "add_request_tags",
)  # fmt: skip
OF_A_SPAN = ("own_operation", "own_tags", "transaction", "parent", "start_ns", "stop_ns")
VALUES: dict[str, Any] = {
    "None": None,
    "a number": 5,
    "a text": "abc",
    "a list with None": [1, None],
    "nan": float("nan"),
    "an object": object(),
    "a generator": (number for number in ()),
}


def record_three(before_end: Callable[[Any, Any], None] = lambda outer, inner: None) -> None:
    for _ in range(3):
        with transaction("Job/spoiled") as outer:
            for _ in range(9):  # the bounds are applied to eight at a time
                with span("Work/step"):
                    pass
            with span("Work/last") as inner:
                before_end(outer, inner)
        assert current_transaction() is None


def check(agent: Any) -> None:
    """Assert that later transactions are recorded, and that everything has been counted somewhere."""
    assert context.current.get() is None
    with transaction("Job/fine"), span("Work/fine"):
        pass
    agent.recorder.work()
    counters = agent.counters("")

    assert 4 == counters.finished
    assert is_balanced(agent, "")
    assert sum(counters.dropped.values()) <= 3


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", OF_A_TRANSACTION)
def test_a_hook_of_the_start_that_sets_an_attribute_never_reaches_the_application(name, value):
    def on_request_start(transaction):
        if transaction.operation == "Job/spoiled":
            setattr(transaction, name, value)

    with running(plugin(on_request_start=on_request_start), threaded=False) as agent:
        record_three()
        check(agent)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", OF_A_TRANSACTION)
def test_a_hook_of_spans_that_sets_an_attribute_never_reaches_the_application(name, value):
    def on_span(span):
        if span.operation == "Work/last":
            setattr(span.transaction, name, value)

    with running(plugin(on_span=on_span), threaded=False) as agent:
        record_three()
        check(agent)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", OF_A_TRANSACTION)
def test_the_application_that_sets_an_attribute_of_its_transaction_goes_on(name, value):
    with running(threaded=False) as agent:
        record_three(lambda outer, inner: setattr(outer, name, value))
        check(agent)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", OF_A_SPAN)
def test_the_application_that_sets_an_attribute_of_its_span_goes_on(name, value):
    with running(threaded=False) as agent:
        record_three(lambda outer, inner: setattr(inner, name, value))
        check(agent)


def wrappers_of_every_kind() -> list[Callable[[], object]]:
    """Calls of wrapped functions, each kind with a plain describer and with one that sees the result, as a root and not."""

    def plain():
        return current_transaction()

    async def asynchronous():
        return current_transaction()

    def generating():
        yield current_transaction()

    async def generating_asynchronously():
        yield current_transaction()

    def describe():
        return span("Work/wrapped")

    def describe_with_result():
        yield span("Work/wrapped")

    async def exhaust(steps):
        return [step async for step in steps]

    calls: list[Callable[[], object]] = []
    for describer, has_steps in ((describe, False), (describe_with_result, True)):
        for is_root in (False, True):
            plain_, async_, steps_, async_steps_ = (
                describing_wrapper(function, Guard("shop", "work", describer, has_steps=has_steps), is_root=is_root)
                for function in (plain, asynchronous, generating, generating_asynchronously)
            )
            calls += [
                plain_,
                lambda call=async_: drive(call()),
                lambda call=steps_: list(call()),
                lambda call=async_steps_: drive(exhaust(call())),
            ]
    return calls


def drive(coroutine: Any) -> object:
    """Run a coroutine that never waits, in this context."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", OF_A_SPAN)
def test_in_a_span_with_such_an_attribute_everything_can_be_used(name, value):
    def use_everything(outer, inner):
        opened = span("Work/open").begin().keep_open()
        setattr(inner, name, value)
        for call in wrappers_of_every_kind():
            call()
            setattr(context.current.get() or inner, name, value)
        for begun in (span("Work/inside"), transaction("Job/inside"), transaction("Job/detached").detach()):
            begun.begin()
            current_transaction()
            begun.end(KeyError("x"))
        opened.end()

    with running(threaded=False) as agent:
        record_three(use_everything)
        assert context.current.get() is None
        with transaction("Job/fine"), span("Work/fine"):
            pass
        agent.recorder.work()

        assert is_balanced(agent, "")


def test_what_cannot_be_handed_over_is_put_right_and_counted_which_is_logged_once(caplog):
    def spoil(outer, inner):
        outer.spans = 5

    with running(threaded=False) as agent:
        record_three(spoil)
        agent.recorder.work()

        assert (3, {}) == (agent.counters("").finished, agent.counters("").dropped)
        assert 6 == agent.counters("").invalid_values, "its spans, and the span that could not be put into them"
    assert 1 == sum("a value of another type was replaced" in record.message for record in caplog.records)


def test_the_exception_of_the_application_passes_a_transaction_that_cannot_be_handed_over():
    with running(threaded=False) as agent:
        for error in (ValueError("mine"), SystemExit(3), KeyboardInterrupt()):
            with pytest.raises(type(error)) as raised, transaction("Job/spoiled") as spoiled:
                spoiled.spans = None
                spoiled.size = "abc"
                raise error

            assert raised.value is error
        agent.recorder.work()

        assert (3, {}) == (agent.counters("").finished, agent.counters("").dropped)


@pytest.mark.skipif(sys.platform == "win32", reason="not on Windows: it has no SIGUSR1")
@pytest.mark.parametrize("attribute", ["own_operation", "spans"])
def test_an_exception_of_a_signal_handler_passes_while_a_transaction_is_handed_over(attribute):
    """Whatever is set raises the signal when it is looked at, as if it came at that very moment."""

    class TimeIsUp(Exception):
        pass

    def end(number, frame):
        raise TimeIsUp

    class Interrupted(list if attribute == "spans" else str):  # type: ignore[misc]  # either
        def __len__(self):
            signal.raise_signal(signal.SIGUSR1)
            return super().__len__()

    before = signal.signal(signal.SIGUSR1, end)
    try:
        with running(threaded=False), pytest.raises(TimeIsUp), transaction("Job/interrupted") as interrupted:
            setattr(interrupted, attribute, Interrupted())
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert context.current.get() is None
