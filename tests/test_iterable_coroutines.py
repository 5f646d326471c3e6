"""Coroutines that ``types.coroutine`` makes of generators: they can be awaited, and ``yield from`` takes them, too."""

from __future__ import annotations

import asyncio
import inspect
import types
from types import GeneratorType

import pytest

from scout_core import propagate, span, transaction
from scout_core.testing import recording
from tests.workbench import plugin


@types.coroutine
def pause(value):
    """Give control to the event loop twice; return the value."""
    yield
    yield
    return value


@types.coroutine
def fail():
    yield
    raise ZeroDivisionError("after a step")


def give(value):
    return pause(value)


def described(*args):
    return span("Pause/Make")


def described_with_result(*args):
    result = yield span("Pause/Make")
    assert result is not None


@types.coroutine
def delegate(inner):
    return (yield from inner)


async def awaited(made):
    return await made


async def awaited_inside(make, *args):
    with transaction("Job/pause"):
        return await make(*args)


def test_a_decorated_function_can_be_awaited_without_an_agent():
    decorated = span("Pause/Make")(pause)

    assert 5 == asyncio.run(awaited(decorated(5)))
    assert 5 == asyncio.run(awaited(delegate(decorated(5))))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(awaited(span("Pause/Make")(fail)()))


@pytest.mark.parametrize("function", [pause, give])
def test_a_decorated_function_is_a_span_until_it_has_returned(scout, function):
    assert 5 == asyncio.run(awaited_inside(span("Pause/Make")(function), 5))

    assert [("Pause/Make", "Job/pause", {})] == [(made.operation, made.parent, made.tags) for made in scout.spans]


def test_a_decorated_transaction(scout):
    assert 5 == asyncio.run(awaited(transaction("Job/pause")(pause)(5)))

    assert "Job/pause" == scout.transaction.operation


@pytest.mark.parametrize("describer", [described, described_with_result])
@pytest.mark.parametrize("name", ["pause", "give"])
def test_a_wrapped_function_can_be_awaited(describer, name):
    wrapping = plugin(instrument=lambda wrap: wrap(f"{__name__}:{name}", describer))

    with recording(plugins=[wrapping]) as scout:
        assert 5 == asyncio.run(awaited_inside(globals()[name], 5))
        assert ["Pause/Make"] == [made.operation for made in scout.spans]


def test_what_the_event_loop_itself_awaits_can_be_wrapped():
    wrapping = plugin(instrument=lambda wrap: wrap("asyncio.tasks:__sleep0", described))

    async def sleeping():
        with transaction("Job/sleep"):
            await asyncio.sleep(0)

    with recording(plugins=[wrapping]) as scout:
        asyncio.run(sleeping())
        assert ["Pause/Make"] == [made.operation for made in scout.spans]


def test_its_stand_in_looks_as_it_does(scout):
    with transaction("Job/pause"):
        made = span("Pause/Make")(pause)(5)
    try:
        assert isinstance(made, GeneratorType)
        assert inspect.isawaitable(made)
        assert not inspect.isawaitable(span("Pause/Make")(lambda: (yield))())
    finally:
        made.close()


def test_an_error_and_a_cancelled_await(scout):
    with pytest.raises(ZeroDivisionError, match="after a step"):
        asyncio.run(awaited_inside(span("Pause/Make")(fail)))

    @span("Pause/Wait")
    @types.coroutine
    def wait():
        yield from asyncio.get_running_loop().create_future()

    async def cancelled():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(awaited_inside(wait)), 0.01)

    asyncio.run(cancelled())

    failed, left = scout.spans
    assert ("Pause/Make", "ZeroDivisionError") == (failed.operation, failed.error)
    assert "Pause/Wait" == left.operation


def test_propagate_carries_the_transaction_into_it(scout):
    @types.coroutine
    def step():
        with span("Inner/Step"):
            yield
        return 5

    async def elsewhere():
        with transaction("Job/pause"):
            carried = propagate(step)
            return await asyncio.get_running_loop().create_task(awaited(carried()))

    assert 5 == asyncio.run(elsewhere())
    assert [("Inner/Step", "Job/pause")] == [(made.operation, made.parent) for made in scout.spans]
