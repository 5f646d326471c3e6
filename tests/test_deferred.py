"""Functions that return something which is not done yet, wrapped and decorated."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import itertools
import sys
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import ModuleType

import pytest

from scout_core import hookimpl, span, transaction
from scout_core.recording.context import current
from scout_core.recording.stepwise import deferred
from scout_core.testing.scout import recording


async def work(number=7):
    with span("SQL/Query"):
        await asyncio.sleep(0)
    return number


async def fail():
    await asyncio.sleep(0)
    raise KeyError("a")


class Query:
    """An object that can be awaited, iterated and entered, of a class of its own."""

    def __init__(self):
        self.limit = 3

    def __await__(self):
        return work().__await__()

    def __len__(self):
        return self.limit

    def __getitem__(self, number):
        return range(self.limit)[number]

    def __add__(self, other):
        return ("added", other)

    async def __aenter__(self):
        return await work(self)

    async def __aexit__(self, *problem):
        await asyncio.sleep(0)

    def ordered(self):
        return [1, 2, 3]


class Request(collections.abc.Coroutine):
    """A coroutine of a class of its own, which can also be entered, as that of aiohttp."""

    def __init__(self):
        self.coroutine = work()

    def send(self, value):
        return self.coroutine.send(value)

    def throw(self, *error):
        return self.coroutine.throw(*error)

    def close(self):
        return self.coroutine.close()

    def __await__(self):
        return self.coroutine.__await__()

    async def __aenter__(self):
        return await self.coroutine

    async def __aexit__(self, *problem):
        pass


@pytest.fixture(params=["wrap", "decorator"])
def timed(request, monkeypatch):
    """Return ``timed(function)``, which starts an agent and returns what replaces a function; ``timed.scout`` is the agent's."""
    module = ModuleType("library")
    monkeypatch.setitem(sys.modules, "library", module)

    def replaced(function, kind=span):
        plugin = ModuleType("plugin0")
        plugin.instrument = hookimpl(lambda wrap: wrap("library:function", lambda *args: kind("Work/call"), root=True))
        is_wrapped = request.param == "wrap"
        module.function = function if is_wrapped else kind("Work/call")(function)
        replaced.scout = stack.enter_context(recording(plugins=[plugin] if is_wrapped else [], plugins_reraise=True))
        return module.function

    with ExitStack() as stack:
        yield replaced


def outline(timed):
    return [(recorded.operation, recorded.parent, recorded.error) for recorded in timed.scout.spans]


ONCE = [("SQL/Query", "Work/call", None), ("Work/call", "Job/a", None)]


@pytest.mark.parametrize("make", [lambda: work(), Query, Request], ids=["coroutine", "object", "coroutine-like"])
def test_the_span_lasts_until_the_result_is_awaited(timed, make):
    function = timed(lambda: make())

    async def main():
        with transaction("Job/a") as job:
            result = function()
            assert current.get() is job
            assert 7 == await result
            assert current.get() is job

    asyncio.run(main())
    assert ONCE == outline(timed)


@pytest.mark.parametrize("make", [Query, Request])
def test_the_span_lasts_until_the_result_is_entered(timed, make):
    function = timed(lambda: make())

    async def main():
        with transaction("Job/a"):
            async with function() as entered:
                assert entered is not None

    asyncio.run(main())
    assert ONCE == outline(timed)


def test_the_result_has_all_that_the_original_has(timed):
    function = timed(lambda: Query())

    async def main():
        with transaction("Job/a"):
            made = function()
            assert isinstance(made, Query)
            assert (3, 2, ("added", 1), [1, 2, 3], 3) == (len(made), made[2], made + 1, made.ordered(), made.limit)
            made.limit = 1
            assert (1, True) == (len(made), bool(made))
            assert [0] == list(made)
            assert not hasattr(made, "__iter__")
            assert hash(made)
            assert made == made
            await made

    asyncio.run(main())
    assert ONCE == outline(timed)


@pytest.mark.parametrize("make", [lambda: work(), Query, Request], ids=["coroutine", "object", "coroutine-like"])
def test_in_a_task_of_its_own(timed, make):
    function = timed(lambda: make())

    async def main():
        with transaction("Job/a"):
            return await asyncio.gather(asyncio.ensure_future(function()), function())

    assert [7, 7] == asyncio.run(main())
    assert sorted(ONCE * 2) == sorted(outline(timed))


def test_a_coroutine_is_one_in_every_respect(timed):
    function = timed(lambda: work())

    async def main():
        with transaction("Job/a"):
            made = function()
            assert inspect.iscoroutine(made)
            assert asyncio.iscoroutine(made)
            assert inspect.CORO_CREATED == inspect.getcoroutinestate(made)
            assert "work" == made.__name__
            assert 7 == await asyncio.create_task(made, name="x")
            with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
                await made

    asyncio.run(main())


def test_the_error_of_what_is_awaited_is_that_of_the_span(timed):
    function = timed(lambda: fail())

    async def main():
        with transaction("Job/a"), pytest.raises(KeyError) as caught:
            await function()
        return caught.value

    error = asyncio.run(main())
    assert (None, None) == (error.__context__, error.__cause__)
    assert [("Work/call", "Job/a", "KeyError")] == outline(timed)


def test_a_coroutine_that_nobody_awaits_ends_its_span(timed):
    function = timed(lambda: work())
    with transaction("Job/a"):
        made = [function()]
        with pytest.warns(RuntimeWarning, match="coroutine 'work' was never awaited"):
            made.clear()

    (recorded,) = timed.scout.spans
    assert ("Work/call", {"abandoned": True}) == (recorded.operation, recorded.tags)


def test_a_coroutine_that_is_closed_ends_its_span(timed):
    function = timed(lambda: work())
    with transaction("Job/a"):
        made = function()
        made.send(None)
        made.close()

    assert ONCE == outline(timed)


def test_cancelling_a_task_ends_the_span_without_an_error(timed):
    function = timed(lambda: asyncio.sleep(60))

    async def main():
        with transaction("Job/a"):
            task = asyncio.ensure_future(function())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert [("Work/call", "Job/a", None)] == outline(timed)


def test_a_generator_that_a_plain_function_returns(timed):
    def rows():
        for number in range(2):
            with span("SQL/Query"):
                yield number

    function = timed(lambda: rows())
    with transaction("Job/a") as job:
        for _ in function():
            assert current.get() is job

    assert [ONCE[0], *ONCE] == outline(timed)
    assert 0 < timed.scout.spans[-1].tags["active_time"] <= timed.scout.spans[-1].duration


def test_an_async_generator_that_an_async_function_returns(timed):
    async def rows():
        with span("SQL/Query"):
            yield 1

    async def call():
        return rows()

    function = timed(call)

    async def main():
        with transaction("Job/a"):
            return [number async for number in await function()]

    assert [1] == asyncio.run(main())
    assert [("SQL/Query", "Work/call", None), ("Work/call", "Job/a", None)] == outline(timed)


def test_a_future_is_returned_itself_and_ends_the_span(timed):
    futures = [Future()]
    function = timed(lambda number: futures[number])
    with ThreadPoolExecutor(1) as pool, transaction("Job/a"):
        futures.append(pool.submit(lambda: 7))
        assert function(0) is futures[0]
        assert function(1) is futures[1]
        futures[0].set_exception(KeyError("a"))
        assert 7 == futures[1].result()

    assert {("Work/call", "Job/a", "KeyError"), ("Work/call", "Job/a", None)} == {*outline(timed)}


def test_a_transaction_lasts_until_the_result_is_done(timed):
    function = timed(lambda: work(), kind=transaction)

    async def main():
        made = function()
        assert current.get() is None
        return await made

    assert 7 == asyncio.run(main())
    assert ["SQL/Query", "Work/call"] == timed.scout.operations


def test_results_that_are_done_are_returned_themselves(timed):
    values = [None, 5, "a", [1], iter([1]), itertools.count(), object(), Query, b""]
    function = timed(lambda number: values[number])
    with transaction("Job/a"):
        for number, value in enumerate(values * 2):
            assert function(number % len(values)) is value

    assert 2 * len(values) == timed.scout.operations.count("Work/call")


def test_classes_of_results_are_remembered_within_a_limit_and_not_kept_alive(timed):
    def new(name, **attributes):
        return type(name, (), attributes)

    made = []
    function = timed(lambda: made[-1]())
    with transaction("Job/a"):
        for number in range(2 * deferred.MOST_KNOWN):
            made.append(new(f"Plain{number}"))
            assert type(function()) is made[-1]
        freed = weakref.ref(made[-1])
        made.append(new("Awaitable", __await__=lambda self: iter(())))
        assert made[-1] is not type(function())
        assert isinstance(function(), made[-1])
        made.clear()
        made.append(int)
        function()
        gc.collect()

    assert len(deferred._known_plain) <= deferred.MOST_KNOWN
    assert freed() is None
