"""``@span`` and ``@transaction`` on generator functions, async generator functions and context managers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import os
import pickle
import subprocess
import sys
import types
import weakref
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from threading import Thread

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.recording.context import current
from scout_core.testing import recording

ON_A_THREAD = pytest.mark.parametrize("on", ["here", "thread"])


def outline(scout):
    return [(recorded.operation, recorded.parent) for recorded in scout.spans]


def in_thread(function, *args):
    """Call a function on another thread; return what it returned."""
    found = []
    thread = Thread(target=lambda: found.append(function(*args)))
    thread.start()
    thread.join()
    return found[0]


@span("Cart/Items")
def items(count=2):
    """Count."""
    try:
        for number in range(count):
            with span("SQL/Fetch"):
                pass
            yield number
    finally:
        with span("SQL/Close"):
            pass
    return "done"


@span("Cart/Items")
async def async_items(count=2):
    try:
        for number in range(count):
            with span("SQL/Fetch"):
                await asyncio.sleep(0)
            yield number
    finally:
        with span("SQL/Close"):
            await asyncio.sleep(0)


WHOLE = [
    ("SQL/Fetch", "Cart/Items"),
    ("View/Row", "Controller/home"),
    ("SQL/Fetch", "Cart/Items"),
    ("View/Row", "Controller/home"),
    ("SQL/Close", "Cart/Items"),
    ("Cart/Items", "Controller/home"),
]


def test_the_span_of_a_generator_lasts_to_its_end_without_the_spans_of_its_consumer(scout):
    with transaction("Controller/home") as home:
        for _ in items():
            assert current.get() is home
            with span("View/Row"):
                pass

    assert WHOLE == outline(scout)


def test_the_span_of_an_async_generator_does_so_too(scout):
    async def main():
        with transaction("Controller/home") as home:
            async for _ in async_items():
                assert current.get() is home
                with span("View/Row"):
                    await asyncio.sleep(0)

    asyncio.run(main())

    assert WHOLE == outline(scout)


def test_the_time_of_the_steps_is_a_tag(scout, monkeypatch):
    now = [1_000]
    for module in ("span", "transaction", "stepwise.steps"):
        monkeypatch.setattr(f"scout_core.recording.{module}.perf_counter_ns", lambda: now[0])

    @span("Cart/Items")
    def numbers():
        for number in range(3):
            now[0] += 2_000_000_000
            yield number

    with transaction("Controller/home"):
        for _ in numbers():
            now[0] += 5_000_000_000

    recorded = scout.spans[0]
    assert (21.0, {"active_time": 6.0}) == (recorded.duration, recorded.tags)


def test_the_time_that_an_async_generator_waits_for_others_is_its_own(scout, monkeypatch):
    now = [1_000]
    for module in ("span", "transaction", "stepwise.steps"):
        monkeypatch.setattr(f"scout_core.recording.{module}.perf_counter_ns", lambda: now[0])

    async def wait():
        await asyncio.sleep(0)
        now[0] += 2_000_000_000

    @span("Cart/Items")
    async def numbers():
        await wait()
        yield 1
        await wait()

    async def main():
        with transaction("Controller/home"):
            async for _ in numbers():
                now[0] += 5_000_000_000

    asyncio.run(main())
    recorded = scout.spans[0]
    assert (9.0, {"active_time": 4.0}) == (recorded.duration, recorded.tags)


def test_two_generators_that_are_run_by_turns_are_kept_apart(scout):
    with transaction("Controller/home"):
        assert [(0, 0), (1, 1)] == list(zip(items(), items(3), strict=False))

    assert {("SQL/Fetch", "Cart/Items"), ("SQL/Close", "Cart/Items"), ("Cart/Items", "Controller/home")} == {
        *outline(scout)
    }


def test_a_generator_within_a_generator_is_a_child_of_it(scout):
    @span("Cart/All")
    def everything():
        result = yield from items()
        yield result

    with transaction("Controller/home"):
        assert [0, 1, "done"] == list(everything())

    assert ("Cart/Items", "Cart/All") in outline(scout)


def test_a_generator_is_one_in_every_respect(scout):
    original = items.__wrapped__
    with transaction("Controller/home"):
        made = items()
        assert isinstance(made, Generator)
        assert isinstance(made, types.GeneratorType)
        assert inspect.isgenerator(made)
        assert ("items", "items") == (made.__name__, made.__qualname__)
        assert original.__code__ is made.gi_code
        assert repr(made).startswith("<generator object items at")
        assert inspect.GEN_CREATED == inspect.getgeneratorstate(made)
        assert 0 == next(made)
        assert inspect.GEN_SUSPENDED == inspect.getgeneratorstate(made)
        assert {"count": 2, "number": 0} == made.gi_frame.f_locals
        assert weakref.ref(made)() is made
        made.__name__ = "other"
        assert "other" == made.__name__
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
                copied(made)
        made.close()
        assert inspect.GEN_CLOSED == inspect.getgeneratorstate(made)
    assert {*dir(made)} >= {*dir(original())}


def test_an_async_generator_is_one_in_every_respect(scout):
    made = async_items()

    async def main():
        with transaction("Controller/home"):
            assert isinstance(made, AsyncGenerator)
            assert isinstance(made, types.AsyncGeneratorType)
            assert inspect.isasyncgen(made)
            assert async_items.__wrapped__.__code__ is made.ag_code
            turn = made.__anext__()
            assert inspect.isawaitable(turn)
            assert 0 == await turn
            assert 1 == await asyncio.create_task(made.__anext__())
            assert made.__aiter__() is made
            await made.aclose()
            with pytest.raises(StopAsyncIteration):
                await made.__anext__()

    asyncio.run(main())


@pytest.mark.parametrize("function", [items, async_items])
def test_the_function_is_a_generator_function_in_every_respect(function):
    original = function.__wrapped__

    class Shop:
        method = function

    assert inspect.isgeneratorfunction(original) == inspect.isgeneratorfunction(function)
    assert inspect.isasyncgenfunction(original) == inspect.isasyncgenfunction(function)
    assert inspect.isgeneratorfunction(original) == inspect.isgeneratorfunction(functools.partial(function))
    assert inspect.isgeneratorfunction(original) == inspect.isgeneratorfunction(Shop().method)
    assert inspect.isfunction(function)
    assert isinstance(function, types.FunctionType)
    assert inspect.signature(original) == inspect.signature(function)
    assert inspect.getsource(original) == inspect.getsource(function)
    assert (original.__name__, original.__doc__, original.__defaults__) == (
        function.__name__,
        function.__doc__,
        function.__defaults__,
    )
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function
    assert copy.copy(function) is function
    shop = Shop()
    assert weakref.WeakMethod(shop.method)() == shop.method
    with pytest.raises(TypeError, match="unexpected keyword"):
        function(colour="red")


def test_values_that_are_sent_arrive_and_the_result_returns(scout):
    @span("Cart/Echo")
    def echo():
        sent = []
        while len(sent) < 2:
            sent.append((yield len(sent)))
        return sent

    with transaction("Controller/home"):
        made = echo()
        assert 0 == next(made)
        assert 1 == made.send("a")
        with pytest.raises(StopIteration) as stopped:
            made.send("b")

    assert ["a", "b"] == stopped.value.value
    assert ["Cart/Echo", "Controller/home"] == scout.operations


def test_values_that_are_sent_to_an_async_generator_arrive(scout):
    @span("Cart/Echo")
    async def echo():
        first = yield 0
        try:
            yield first
        except KeyError as error:
            yield error.args[0]

    async def main():
        with transaction("Controller/home"):
            made = echo()
            assert 0 == await made.__anext__()
            assert "a" == await made.asend("a")
            assert "b" == await made.athrow(KeyError("b"))
            await made.aclose()

    asyncio.run(main())
    assert [None] == [recorded.error for recorded in scout.spans]


def test_the_exception_that_ends_it_is_the_same_object_and_the_error_of_the_span(scout):
    raised = ValueError("text")

    @span("Cart/Items")
    def broken():
        yield 1
        raise raised

    with transaction("Controller/home"), pytest.raises(ValueError, match="text") as caught:
        list(broken())

    assert caught.value is raised
    assert (None, None) == (raised.__context__, raised.__cause__)
    assert ["ValueError"] == [recorded.error for recorded in scout.spans]


def test_an_exception_that_is_thrown_into_it_and_handled_is_no_error(scout):
    @span("Cart/Items")
    def tough():
        try:
            yield 1
        except KeyError:
            yield 2

    with transaction("Controller/home"):
        made = tough()
        next(made)
        assert 2 == made.throw(KeyError("a"))
        assert [] == list(made)

    assert [None] == [recorded.error for recorded in scout.spans]


def test_one_that_ignores_its_close_goes_on(scout):
    @span("Cart/Items")
    def stubborn():
        try:
            yield 1
        except GeneratorExit:
            with span("SQL/Fetch"):
                yield 2

    with transaction("Controller/home"):
        made = stubborn()
        next(made)
        with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
            made.close()
        assert [] == scout.spans
        assert [] == list(made)

    assert [("SQL/Fetch", "Cart/Items"), ("Cart/Items", "Controller/home")] == outline(scout)


def test_one_that_calls_itself_goes_on(scout):
    @span("Cart/Items")
    def odd():
        with pytest.raises(ValueError, match="already executing"):
            next(made)
        yield 1
        with span("SQL/Fetch"):
            yield 2

    with transaction("Controller/home"):
        made = odd()
        assert [1, 2] == list(made)

    assert [("SQL/Fetch", "Cart/Items"), ("Cart/Items", "Controller/home")] == outline(scout)


@ON_A_THREAD
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_closing_it_ends_the_span_if_it_has_begun(scout, steps, on):
    with transaction("Controller/home"):
        made = items()
        for _ in range(steps):
            next(made, None)
        if on == "thread":
            in_thread(made.close)
        else:
            made.close()
        assert [] == list(made)

    assert (["Cart/Items"] if steps else []) == [name for name, _ in outline(scout) if name == "Cart/Items"]
    assert [] == [recorded.error for recorded in scout.spans if recorded.error]


@ON_A_THREAD
def test_dropping_it_ends_the_span_and_what_it_does_then_belongs_to_it(scout, on):
    def consume(made):
        with transaction("Job/other") as other:
            next(made[0])
            made.clear()
            gc.collect()
            assert current.get() is other

    with transaction("Controller/home") as home:
        made = [items()]
        next(made[0])
        if on == "thread":
            in_thread(consume, made)
        else:
            made.clear()
            gc.collect()
        assert current.get() is home

    assert ("SQL/Close", "Cart/Items") in outline(scout)
    (recorded,) = [recorded for recorded in scout.spans if recorded.operation == "Cart/Items"]
    assert ("Controller/home", True) == (recorded.parent, recorded.tags["abandoned"])


def test_one_that_is_dropped_in_a_cycle_ends(scout):
    class Box:
        pass

    with transaction("Controller/home") as home:
        box = Box()
        box.made, box.self = items(), box
        next(box.made)
        del box
        gc.collect()
        assert current.get() is home

    assert "Cart/Items" in scout.operations


def test_one_that_was_never_started_leaves_no_span(scout):
    with transaction("Controller/home"):
        items()
        with contextlib.closing(items()):
            pass
        with pytest.raises(KeyError):
            items().throw(KeyError("a"))

    assert ["Controller/home"] == scout.operations


def test_outside_a_transaction_it_is_not_recorded(scout):
    assert [0, 1] == list(items())
    assert [] == scout.transactions


def test_a_transaction_lasts_until_the_generator_has_ended(scout):
    @transaction("Job/export")
    def export():
        for number in range(2):
            with span("SQL/Fetch"):
                assert "Job/export" == current_transaction().operation
            yield number

    for _ in export():
        assert current_transaction() is None
        with transaction("Job/other"):
            pass

    assert ["Job/other", "Job/other", "SQL/Fetch", "SQL/Fetch", "Job/export"] == scout.operations


def test_steps_on_different_threads_belong_to_it(scout):
    with transaction("Controller/home"):
        made = items()
        assert [0, 1, None] == [in_thread(next, made, None) for _ in range(3)]

    assert [] == scout.spans  # began on a thread without a transaction

    scout.forget()
    with transaction("Controller/home"):
        made = items()
        assert [0, 1, None] == [next(made), in_thread(next, made), in_thread(next, made, None)]

    assert [
        ("SQL/Fetch", "Cart/Items"),
        ("SQL/Fetch", "Cart/Items"),
        ("SQL/Close", "Cart/Items"),
        ("Cart/Items", "Controller/home"),
    ] == outline(scout)


def test_turns_of_an_async_generator_in_different_tasks_belong_to_it(scout):
    async def main():
        with transaction("Controller/home") as home:
            made = async_items()
            await made.__anext__()
            await asyncio.create_task(made.__anext__())
            await asyncio.create_task(made.aclose())
            assert current.get() is home

    asyncio.run(main())

    assert [
        ("SQL/Fetch", "Cart/Items"),
        ("SQL/Fetch", "Cart/Items"),
        ("SQL/Close", "Cart/Items"),
        ("Cart/Items", "Controller/home"),
    ] == outline(scout)


def test_an_async_generator_that_its_consumer_leaves_ends_where_the_loop_closes_it(scout, caplog):
    async def main():
        with transaction("Controller/home") as home:
            async for _ in async_items():
                break
            gc.collect()
            await asyncio.sleep(0.001)
            assert current.get() is home

    asyncio.run(main())

    assert ("Cart/Items", "Controller/home") in outline(scout)
    assert [] == caplog.records


def test_cancelling_a_task_ends_its_async_generator_without_an_error(scout):
    @span("Cart/Items")
    async def endless():
        yield 1
        await asyncio.Event().wait()

    async def consume():
        async for _ in endless():
            pass

    async def main():
        with transaction("Controller/home"):
            task = asyncio.create_task(consume())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

    assert [("Cart/Items", None)] == [(recorded.operation, recorded.error) for recorded in scout.spans]


# Context managers


@span("Lock/Hold")
@contextlib.contextmanager
def held(name="a"):
    """Hold it."""
    with span("Lock/Acquire"):
        pass
    yield name


@span("Lock/Hold")
@contextlib.asynccontextmanager
async def async_held(name="a"):
    with span("Lock/Acquire"):
        await asyncio.sleep(0)
    yield name


HELD = [("Lock/Acquire", "Lock/Hold"), ("SQL/Query", "Lock/Hold"), ("Lock/Hold", "Controller/home")]


def test_the_block_of_a_context_manager_belongs_to_its_span(scout):
    with transaction("Controller/home") as home:
        with held() as name, span("SQL/Query"):
            assert "a" == name
        assert current.get() is home

    assert HELD == outline(scout)
    assert 0 < scout.spans[-1].tags["active_time"] < scout.spans[-1].duration
    assert type(held()) is type(contextlib.contextmanager(items)())
    assert ("held", "Hold it.") == (held.__name__, held.__doc__)


def test_the_block_of_an_async_context_manager_belongs_to_its_span(scout):
    async def main():
        with transaction("Controller/home") as home:
            async with async_held() as name:
                with span("SQL/Query"):
                    assert "a" == name
            assert current.get() is home

    asyncio.run(main())
    assert HELD == outline(scout)


def test_a_context_manager_as_a_decorator_is_a_span_for_each_call(scout):
    @held("b")
    def work():
        with span("SQL/Query"):
            return 7

    with transaction("Controller/home"):
        assert [7, 7] == [work(), work()]

    assert HELD * 2 == outline(scout)


def test_an_exception_in_the_block_is_the_error_of_the_span(scout):
    raised = KeyError("a")
    with transaction("Controller/home") as home:
        with pytest.raises(KeyError) as caught, held():
            raise raised
        assert current.get() is home

    assert caught.value is raised
    assert [None, "KeyError"] == [recorded.error for recorded in scout.spans]


def test_context_managers_that_are_left_in_another_order_leave_nothing_current(scout):
    with transaction("Controller/home") as home:
        first, second = held(), held()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
        assert current.get() is home

    assert 2 == scout.operations.count("Lock/Hold")


@span("Lock/Hold")
@contextlib.contextmanager
def locked():
    with span("Lock/Acquire"):
        yield
    with span("Lock/Release"), span("SQL/Query"):
        pass


@span("Lock/Hold")
@contextlib.asynccontextmanager
async def async_locked():
    with span("Lock/Acquire"):
        yield
    with span("Lock/Release"):
        await asyncio.sleep(0)
        with span("SQL/Query"):
            pass


LOCKED = [
    ("Lock/Acquire", "Lock/Hold"),
    ("SQL/Query", "Lock/Release"),
    ("Lock/Release", "Lock/Hold"),
    ("Lock/Hold", "Controller/home"),
]


def elsewhere(manager):
    thread = Thread(target=manager.__exit__, args=(None, None, None))
    thread.start()
    thread.join()


def in_another_transaction(manager):
    with transaction("Job/other") as other:
        manager.__exit__(None, None, None)
        assert current.get() is other


@pytest.mark.parametrize(
    "leave",
    [
        elsewhere,
        lambda manager: Context().run(manager.__exit__, None, None, None),
        lambda manager: Context().run(in_another_transaction, manager),
    ],
)
def test_a_context_manager_that_is_left_elsewhere_has_the_spans_of_its_exit(scout, leave):
    with transaction("Controller/home") as home:
        manager = locked()
        manager.__enter__()
        leave(manager)
        assert current_transaction() is home

    assert LOCKED == outline(scout)


def test_an_async_context_manager_that_is_left_elsewhere_has_the_spans_of_its_exit(scout):
    async def leave(manager):
        await manager.__aexit__(None, None, None)
        assert current.get() is None

    async def main():
        with transaction("Controller/home") as home:
            manager = async_locked()
            await manager.__aenter__()
            await Context().run(asyncio.ensure_future, leave(manager))
            assert current_transaction() is home

    asyncio.run(main())
    assert LOCKED == outline(scout)


AT_EXIT = """
import asyncio, logging
import scout_core
from scout_core import span, transaction

logging.basicConfig(level=logging.DEBUG)
logging.getLogger("asyncio").disabled = True
scout_core.start(plugins_autoload=False)

@span("Cart/Items")
def items():
    yield 1

@span("Cart/Items")
async def async_items():
    yield 1

@span("Cart/Later")
def later():
    return asyncio.sleep(0)

class Box:
    pass

job = transaction("Job/first").begin()
made = items(), items(), later(), job.stream(iter(map(str, range(3))))
next(made[0]), next(made[3]), made[2].send(None)
box = Box()
box.box, box.made = box, items()
next(box.made)
loop = asyncio.new_event_loop()
open_items = async_items()
loop.run_until_complete(open_items.__anext__())
loop.close()
print("end")
"""


def test_what_is_open_when_the_interpreter_ends_ends_silently(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", AT_EXIT], capture_output=True, text=True,
        env={**environment, "SCOUT_STATE_DIR": str(tmp_path)},
    )  # fmt: skip

    assert (0, "end\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.fixture
@span("Fixture/Resource")
def resource():
    opened = [7]
    yield opened
    opened.clear()


def test_a_decorated_generator_function_is_a_fixture(resource):
    assert [7] == resource


def _in_thread(function):
    """Call it where the stack is empty."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@span("Tree/Walk")
def _walk(depth):
    yield depth
    if depth:
        yield from _walk(depth - 1)


@span("Tree/Walk")
async def _walk_async(depth):
    yield depth


@contextlib.contextmanager
@span("Tree/Hold")
def _hold():
    yield 5


def test_without_an_agent_a_decorated_generator_function_returns_the_generator_itself():
    assert types.GeneratorType is type(_walk(1))
    assert types.AsyncGeneratorType is type(_walk_async(1))
    with _hold() as held:
        assert 5 == held
    assert 901 == _in_thread(lambda: len(list(_walk(900))))


def test_a_generator_that_calls_itself_reaches_the_documented_depth():
    def work():
        with transaction("Job/tree"):
            return len(list(_walk(230)))

    with recording() as scout:
        assert 231 == _in_thread(work)

        assert ["Tree/Walk"] * 231 == [found.operation for found in scout.spans]
