"""Functions that return something which is not done yet, wrapped and decorated."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import itertools
import weakref
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from scout_core import span, transaction
from scout_core.recording.context import current
from scout_core.recording.stepwise import deferred


async def work(number=7):
    with span("SQL/Query"):
        await asyncio.sleep(0)
    return number


async def fail():
    await asyncio.sleep(0)
    raise KeyError("a")


class Query:
    """An object that can be awaited and entered, of a class of its own."""

    def __await__(self):
        return work().__await__()

    async def __aenter__(self):
        return await work(self)

    async def __aexit__(self, *problem):
        await asyncio.sleep(0)


class Request(collections.abc.Coroutine):
    """A coroutine of a class of its own, which can also be entered, as that of aiohttp."""

    def send(self, value):
        raise StopIteration(7)

    def throw(self, *error):
        raise StopIteration

    def __await__(self):
        return iter(())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *problem):
        pass


class Rows(collections.abc.Generator):
    """A generator of a class of its own."""

    def send(self, value):
        raise StopIteration

    def throw(self, *error):
        raise StopIteration


class AsyncRows(collections.abc.AsyncGenerator):
    """The same for an async one."""

    async def asend(self, value):
        raise StopAsyncIteration

    async def athrow(self, *error):
        raise StopAsyncIteration


class Connection(Query):
    """Kept in a registry by its library, and compared by its own rules."""

    registry = {}

    def __init__(self, name="main"):
        self.name = name

    def __eq__(self, other):
        return type(other) is Connection and other.name == self.name

    def __hash__(self):
        return hash(self.name)


class Slotted:
    __slots__ = ("__weakref__",)

    def __await__(self):
        return iter(())


OWN_CLASSES = [Query, Request, Rows, AsyncRows, Connection, Slotted]


@pytest.mark.parametrize("kind", OWN_CLASSES)
def test_an_object_of_a_class_of_its_own_is_the_very_object(timed, kind):
    made = kind()
    function = timed(lambda: made)
    with transaction("Job/a"):
        for _ in range(3):
            result = function()
            assert result is made
            assert type(result) is kind

    assert [("Work/call", "Job/a", None)] * 3 == timed.outline()


def test_an_async_function_returns_the_very_object_too(timed):
    made = Connection()

    async def function():
        return made

    function = timed(function)

    async def main():
        with transaction("Job/a"):
            return await function()

    assert made is asyncio.run(main())


def test_a_connection_is_found_in_the_registry_of_its_library(timed):
    def connect():
        made = Connection.registry[made] = Connection()
        return made

    function = timed(connect)
    with transaction("Job/a"):
        result = function()
        assert Connection.registry.pop(result) is result
        assert weakref.ref(result)() is result


def test_a_method_that_returns_its_own_object_continues_with_it(timed):
    pipeline = Query()
    function = timed(lambda: pipeline)

    async def main():
        with transaction("Job/a"):
            assert function() is function() is pipeline
            return await function()

    assert 7 == asyncio.run(main())
    assert ("SQL/Query", "Job/a", None) in timed.outline()


async def numbers():
    with span("SQL/Query"):
        await asyncio.sleep(0)
    yield 7


COMPILED = {
    "iterator of a coroutine": lambda: work().__await__(),
    "turn of an async generator": lambda: numbers().__anext__(),
}
"""Objects of Python's own types whose class shows only the methods of a generator or coroutine, as those of Cython and mypyc."""


@pytest.mark.parametrize("name", COMPILED)
def test_the_coroutine_of_a_compiled_library_is_followed(timed, name):
    class Later:
        def __init__(self, awaited):
            self.awaited = awaited

        def __await__(self):
            return (yield from self.awaited)

    function = timed(lambda: COMPILED[name]())

    async def main():
        with transaction("Job/a"):
            return await Later(function())

    assert 7 == asyncio.run(main())
    assert ("SQL/Query", "Work/call", None) in timed.outline()
    assert ("Work/call", "Job/a", None) in timed.outline()


ONCE = [("SQL/Query", "Work/call", None), ("Work/call", "Job/a", None)]


def test_the_span_lasts_until_the_result_is_awaited(timed):
    function = timed(lambda: work())

    async def main():
        with transaction("Job/a") as job:
            result = function()
            assert current.get() is job
            assert 7 == await result
            assert current.get() is job

    asyncio.run(main())
    assert ONCE == timed.outline()


def test_in_a_task_of_its_own(timed):
    function = timed(lambda: work())

    async def main():
        with transaction("Job/a"):
            return await asyncio.gather(asyncio.ensure_future(function()), function())

    assert [7, 7] == asyncio.run(main())
    assert sorted(ONCE * 2) == sorted(timed.outline())


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
    assert [("Work/call", "Job/a", "KeyError")] == timed.outline()


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

    assert ONCE == timed.outline()


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
    assert [("Work/call", "Job/a", None)] == timed.outline()


def test_a_generator_that_a_plain_function_returns(timed):
    def rows():
        for number in range(2):
            with span("SQL/Query"):
                yield number

    function = timed(lambda: rows())
    with transaction("Job/a") as job:
        for _ in function():
            assert current.get() is job

    assert [ONCE[0], *ONCE] == timed.outline()
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
    assert [("SQL/Query", "Work/call", None), ("Work/call", "Job/a", None)] == timed.outline()


def test_a_future_is_returned_itself_and_ends_the_span(timed):
    futures = [Future()]
    function = timed(lambda number: futures[number])
    with ThreadPoolExecutor(1) as pool, transaction("Job/a"):
        futures.append(pool.submit(lambda: 7))
        assert function(0) is futures[0]
        assert function(1) is futures[1]
        futures[0].set_exception(KeyError("a"))
        assert 7 == futures[1].result()

    assert {("Work/call", "Job/a", "KeyError"), ("Work/call", "Job/a", None)} == {*timed.outline()}


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
        assert made[-1] is type(function())
        made.clear()
        made.append(int)
        function()
        gc.collect()

    assert len(deferred._known_plain) <= deferred.MOST_KNOWN
    assert freed() is None
