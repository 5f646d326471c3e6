"""``@span`` and ``@transaction`` on functions."""

from __future__ import annotations

import abc
import asyncio
import collections
import functools
import gc
import inspect
import os
import pickle
import re
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.recording import context
from scout_core.testing import recording


def test_every_call_is_a_separate_span(scout):
    @span("Cart/Checkout", items=3)
    def checkout(number, *, plan="free"):
        """The docstring."""
        return number, plan

    with transaction("Controller/home"):
        assert (1, "gold") == checkout(1, plan="gold")
        assert (2, "free") == checkout(2)

    assert ["Cart/Checkout", "Cart/Checkout", "Controller/home"] == scout.operations
    assert [{"items": 3}, {"items": 3}] == [recorded.tags for recorded in scout.spans]
    assert ("checkout", "The docstring.") == (checkout.__name__, checkout.__doc__)
    assert "(number, *, plan='free')" == str(inspect.signature(checkout))


def test_calls_do_not_share_tags(scout):
    @transaction("Job/mail.send", queue="low")
    def send(number):
        current_transaction().tag("number", number)

    send(1)
    send(2)

    assert [{"queue": "low", "number": 1}, {"queue": "low", "number": 2}] == [
        recorded.tags for recorded in scout.transactions
    ]


def test_a_transaction_starts_with_the_call(scout):
    @transaction("Job/mail.send")
    def send():
        with span("Mail/Connect"):
            return current_transaction().operation

    assert "Job/mail.send" == send()
    assert current_transaction() is None
    assert ["Mail/Connect", "Job/mail.send"] == scout.operations


def test_recursive_calls_are_nested_spans(scout):
    @span("Tree/Visit")
    def visit(depth):
        return 1 + (visit(depth - 1) if depth else 0)

    with transaction("Controller/home"):
        assert 4 == visit(3)

    assert ["Tree/Visit", "Tree/Visit", "Tree/Visit", "Controller/home"] == [
        recorded.parent for recorded in scout.spans
    ]


def test_the_span_of_an_async_function_ends_when_the_function_ends(scout):
    @span("Cart/Checkout")
    async def checkout():
        with span("SQL/Query"):
            await asyncio.sleep(0)
        return 9

    async def main():
        with transaction("Controller/home"):
            return await asyncio.gather(checkout(), checkout())

    assert inspect.iscoroutinefunction(checkout)
    assert [9, 9] == asyncio.run(main())
    assert [("SQL/Query", "Cart/Checkout")] * 2 == [
        (recorded.operation, recorded.parent) for recorded in scout.spans if recorded.operation == "SQL/Query"
    ]
    assert ["Controller/home"] * 2 == [
        recorded.parent for recorded in scout.spans if recorded.operation == "Cart/Checkout"
    ]


def test_decorated_methods_are_bound_as_usual(scout):
    class Cart:
        @span("Cart/Total")
        def total(self):
            return self

        @classmethod
        @span("Cart/Make")
        def make(cls):
            return cls

        @staticmethod
        @span("Cart/Add")
        def add(number):
            return number

    cart = Cart()
    with transaction("Controller/home"):
        assert (cart, Cart, Cart, 5, 5) == (cart.total(), cart.make(), Cart.make(), cart.add(5), Cart.add(5))

    assert 6 == len(scout.operations)


def test_an_exception_passes_unchanged(scout):
    raised = ValueError("text")

    @span("Cart/Checkout")
    def checkout():
        raise raised

    with transaction("Controller/home"), pytest.raises(ValueError, match="text") as caught:
        checkout()

    assert caught.value is raised
    assert (None, None) == (raised.__context__, raised.__cause__)
    assert ["ValueError"] == [recorded.error for recorded in scout.spans]


def generate():
    yield 1


async def generate_async():
    yield 1


def test_a_decorated_function_works_without_an_agent():
    @transaction("Job/mail.send")
    def send(number):
        return number, current_transaction()

    assert (1, None) == send(1)


# Everything that can be decorated, and everything that cannot


class Log:
    """The spans and their parents."""

    def __init__(self, scout):
        self.scout = scout

    def check(self, expected, times=1):
        """Compare what was recorded: a query inside a span that lasted as long."""
        assert [("SQL/Query", "Cart/Total"), ("Cart/Total", "Controller/home")] * times == [
            (recorded.operation, recorded.parent) for recorded in self.scout.spans
        ]
        assert expected == 7


def work(number=7):
    """Work for a moment."""
    with span("SQL/Query"):
        return number


async def work_async(number=7):
    with span("SQL/Query"):
        await asyncio.sleep(0)
        return number


def hiding(number=7):
    return work_async(number)


@functools.wraps(work_async)
def hiding_behind_wraps(*args, **kwargs):
    return work_async(*args, **kwargs)


def hiding_a_task(number=7):
    return asyncio.ensure_future(work_async(number))


def hiding_a_gather(number=7):
    return asyncio.gather(work_async(number))


class Callable:
    """A callable object."""

    def __init__(self):
        self.mark = "own"

    def __call__(self, number=7):
        return work(number)

    def method(self, number=7):
        return work(number)

    async def method_async(self, number=7):
        return await work_async(number)


class AsyncCallable:
    async def __call__(self, number=7):
        return await work_async(number)


class HidingCallable:
    def __call__(self, number=7):
        return work_async(number)


class Slotted:
    __slots__ = ()

    def __call__(self, number=7):
        return work(number)


class Foreign:
    """Another library's decorator: as wrapt makes it, it needs its instance."""

    def __init__(self, function, instance=None):
        self.__wrapped__ = function
        self.instance = instance

    __class__ = property(lambda self: type(self.__wrapped__))

    def __get__(self, instance, owner=None):
        return self if instance is None else Foreign(self.__wrapped__, instance)

    def __call__(self, *args):
        return self.__wrapped__(*(() if self.instance is None else (self.instance,)), *args)

    def __getattr__(self, name):
        return getattr(self.__wrapped__, name)


@functools.singledispatch
def dispatched(number=7):
    return work(number)


SYNC = {
    "function": lambda: work,
    "lambda": lambda: lambda: work(),
    "partial": lambda: functools.partial(work, 7),
    "partial of a partial": lambda: functools.partial(functools.partial(work), number=7),
    "bound method": lambda: Callable().method,
    "static method": lambda: staticmethod(work),
    "object": Callable,
    "object with slots": Slotted,
    "cached": lambda: functools.lru_cache(work),
    "partial of an object": lambda: functools.partial(Callable(), 7),
    "foreign wrapper": lambda: Foreign(work),
    "dispatched": lambda: dispatched,
}
ASYNC = {
    "async function": lambda: work_async,
    "partial": lambda: functools.partial(work_async, 7),
    "partial of a hidden one": lambda: functools.partial(hiding, number=7),
    "bound method": lambda: Callable().method_async,
    "static method": lambda: staticmethod(work_async),
    "hidden": lambda: hiding,
    "hidden behind wraps": lambda: hiding_behind_wraps,
    "object": AsyncCallable,
    "object that hides it": HidingCallable,
    "a task": lambda: hiding_a_task,
    "a lambda": lambda: lambda: work_async(),
    "foreign wrapper": lambda: Foreign(work_async),
    "partial of an object": lambda: functools.partial(AsyncCallable(), 7),
}


@pytest.mark.parametrize("make", SYNC.values(), ids=SYNC)
def test_whatever_is_called_is_timed(scout, make):
    original = make()
    decorated = span("Cart/Total")(original)
    with transaction("Controller/home"):
        result = decorated(7) if make is SYNC["dispatched"] else decorated()

    Log(scout).check(result)
    if type(original) is not staticmethod:
        assert isinstance(decorated, original.__class__)
        assert decorated.__doc__ == original.__doc__
        assert inspect.signature(original) == inspect.signature(decorated)


@pytest.mark.parametrize("make", ASYNC.values(), ids=ASYNC)
def test_whatever_is_awaited_is_timed_until_it_is_done(scout, make):
    original = make()
    decorated = span("Cart/Total")(original)

    async def main():
        with transaction("Controller/home"):
            waiting = decorated()
            assert "Controller/home" == context.current.get().operation
            return await waiting

    Log(scout).check(asyncio.run(main()))
    for ask in (inspect.iscoroutinefunction, asyncio.iscoroutinefunction):
        assert ask(original) == ask(decorated)
        if type(original) is not staticmethod:
            assert (ask(original) or ask(original.__call__)) == (ask(decorated) or ask(decorated.__call__))


@pytest.mark.parametrize("make", ASYNC.values(), ids=ASYNC)
def test_awaited_at_once_they_are_kept_apart(scout, make):
    decorated = span("Cart/Total")(make())

    async def main():
        async def call():
            return await decorated()

        with transaction("Controller/home") as home:
            assert [7, 7] == await asyncio.gather(call(), call())
            assert context.current.get() is home

    asyncio.run(main())
    assert Counter({("SQL/Query", "Cart/Total"): 2, ("Cart/Total", "Controller/home"): 2}) == Counter(
        (recorded.operation, recorded.parent) for recorded in scout.spans
    )


def test_a_gathered_future_ends_its_span(scout):
    async def main():
        with transaction("Controller/home"):
            return await span("Cart/Total")(hiding_a_gather)()

    assert [7] == asyncio.run(main())
    assert ["Controller/home"] == [recorded.parent for recorded in scout.spans if recorded.operation == "Cart/Total"]


def test_a_future_of_a_thread_ends_its_span_and_is_returned_itself(scout):
    with ThreadPoolExecutor(1) as pool, transaction("Controller/home"):
        futures = [Future()]
        assert span("Cart/Total")(lambda: futures[0])() is futures[0]
        futures[0].set_exception(KeyError("plan"))
        assert 7 == span("Cart/Other")(lambda: pool.submit(int, "7"))().result()

    assert {"Cart/Total": "KeyError", "Cart/Other": None} == {
        recorded.operation: recorded.error for recorded in scout.spans
    }


def test_a_job_that_hides_its_coroutine_lasts_until_it_is_done(scout):
    @transaction("Job/mail.send")
    def send():
        return work_async()

    async def main():
        waiting = send()
        assert current_transaction() is None
        assert 7 == await waiting
        assert current_transaction() is None

    asyncio.run(main())
    assert ["SQL/Query", "Job/mail.send"] == scout.operations


@pytest.mark.parametrize("make", [hiding, hiding_a_task], ids=["coroutine", "task"])
def test_an_exception_of_deferred_work_passes_unchanged(scout, make):
    raised = ValueError("text")

    async def fail():
        await asyncio.sleep(0)
        raise raised

    decorated = span("Cart/Total")((lambda: fail()) if make is hiding else lambda: asyncio.ensure_future(fail()))

    async def main():
        with transaction("Controller/home"):
            try:
                await decorated()
            except ValueError as error:
                assert (raised, None, None) == (error, error.__context__, error.__cause__)

    asyncio.run(main())
    assert ["ValueError"] == [recorded.error for recorded in scout.spans]


@pytest.mark.filterwarnings(
    "ignore:coroutine 'work_async' was never awaited"
)  # of the other one, once this one is freed
def test_a_coroutine_that_is_never_awaited_is_named_in_the_warning(scout):
    def call():
        with transaction("Controller/home"):
            span("Cart/Total")(hiding)()
        gc.collect()

    with pytest.warns(RuntimeWarning, match="'work_async' was never awaited"):
        call()


def test_outside_a_transaction_the_result_is_untouched(scout):
    made = work_async()
    assert span("Cart/Total")(lambda: made)() is made
    made.close()


def test_in_a_class_everything_is_bound_as_before(scout):
    class Cart:
        size = 7

        def _total(self):
            return work(self.size)

        total = span("Cart/Total")(_total)
        static = span("Cart/Total")(staticmethod(work))
        of = span("Cart/Total")(classmethod(lambda cls: work(cls.size)))
        half = span("Cart/Total")(functools.partialmethod(work))
        partial = span("Cart/Total")(functools.partial(work, 7))
        foreign = span("Cart/Total")(Foreign(_total))
        cached = span("Cart/Total")(functools.lru_cache(_total))
        held = span("Cart/Total")(Callable())
        builtin = span("Cart/Total")(max)
        upper = span("Cart/Total")(str.upper)

        @property
        @span("Cart/Total")
        def prop(self):
            return work(self.size)

    cart = Cart()
    with transaction("Controller/home"):
        assert [7] * 8 == [
            cart.total(),
            cart.static(),
            Cart.static(),
            cart.of(),
            Cart.of(),
            cart.foreign(),
            cart.cached(),
            cart.prop,
        ]
        assert [7] * 2 == [cart.held(), cart.builtin([3, 7])]
        assert (cart, "A") == (cart.half(), Cart.upper("a"))

    assert 12 == scout.operations.count("Cart/Total")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Callable, "classes cannot be decorated: decorate the methods of Callable instead"),
        (lambda: dataclass(Callable), "classes cannot be decorated: decorate the methods of Callable instead"),
        (lambda: Enum("Plan", "FREE"), "classes cannot be decorated: decorate the methods of Plan instead"),
        (lambda: abc.ABC, "classes cannot be decorated: decorate the methods of ABC instead"),
        (lambda: property(work), "properties cannot be decorated: decorate the function below instead"),
        (lambda: functools.cached_property(work), "properties cannot be decorated: decorate the function below instead"),
        (lambda: classmethod(property(work)), "properties cannot be decorated: decorate the function below instead"),
        (lambda: contextmanager(generate)(), "context managers cannot be decorated, got _GeneratorContextManager: "),
        (lambda: nullcontext(), "got nullcontext: open a span around the with statement instead"),
        (lambda: asynccontextmanager(generate_async)(), "context managers cannot be decorated, got _AsyncGeneratorContextManager: "),
        (lambda: ExitStack(), "context managers cannot be decorated, got ExitStack: "),
        (lambda: span("Cart/Other"), "context managers cannot be decorated, got Span: "),
        (lambda: transaction("Job/other"), "context managers cannot be decorated, got Transaction: "),
        (lambda: 5, "only functions and methods can be decorated, got int"),
        (lambda: None, "only functions and methods can be decorated, got NoneType"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("decorate", [span("Cart/Total"), transaction("Job/total")], ids=["span", "transaction"])
def test_whatever_cannot_be_timed_is_refused_with_advice(decorate, make, problem):
    with pytest.raises(TypeError, match=re.escape(problem)):
        decorate(make())


@pytest.mark.parametrize("kind", [span, transaction])
@pytest.mark.parametrize("of", [work, work_async, staticmethod(work), classmethod(work), property(work), Callable])
def test_a_decorator_without_parentheses_is_refused(kind, of):
    with pytest.raises(TypeError, match=r"an operation is missing: write @span\('Kind/name'\) or @transaction"):
        kind(of)


def test_two_decorators_are_two_spans(scout):
    decorated = span("Cart/Outer")(span("Cart/Inner")(hiding))

    async def main():
        with transaction("Controller/home"):
            return await decorated()

    assert 7 == asyncio.run(main())
    assert ["SQL/Query", "Cart/Inner", "Cart/Outer", "Controller/home"] == scout.operations
    assert ["Cart/Inner", "Cart/Outer", "Controller/home"] == [recorded.parent for recorded in scout.spans]


def test_one_decorator_serves_several_functions(scout):
    timed = span("Cart/Total")
    first, second = timed(work), timed(Callable())
    with transaction("Controller/home"):
        assert (1, 2) == (first(1), second(2))

    assert 2 == scout.operations.count("Cart/Total")


def test_an_abstract_method_stays_abstract():
    class Cart(abc.ABC):
        @span("Cart/Total")
        @abc.abstractmethod
        def total(self):
            """Return the total."""

        @classmethod
        @span("Cart/Make")
        @abc.abstractmethod
        def make(cls):
            """Return one."""

    assert {"total", "make"} == Cart.__abstractmethods__


@pytest.mark.skipif(
    not hasattr(inspect, "markcoroutinefunction"), reason="not on a Python without markcoroutinefunction"
)
def test_a_function_that_is_marked_as_async_stays_so(scout):
    decorated = span("Cart/Total")(inspect.markcoroutinefunction(lambda: work_async()))

    async def main():
        with transaction("Controller/home"):
            return await decorated()

    assert inspect.iscoroutinefunction(decorated)
    Log(scout).check(asyncio.run(main()))


pickled = span("Cart/Total")(work)
pickled.__qualname__ = "pickled"
cached = span("Cart/Total")(functools.lru_cache(work))
vars(cached)["__qualname__"] = cached.__wrapped__.__qualname__ = "cached"


def test_decorated_functions_can_be_pickled():
    assert pickle.loads(pickle.dumps(pickled)) is pickled
    assert pickle.loads(pickle.dumps(cached)) is cached
    assert 7 == pickle.loads(pickle.dumps(span("Cart/Total")(Callable())))()
    assert 7 == pickle.loads(pickle.dumps(functools.partial(pickled, 7)))()


def test_attributes_of_the_object_stay(scout):
    decorated = span("Cart/Total")(functools.lru_cache(work))
    decorated()
    decorated()

    assert (1, 1) == decorated.cache_info()[:2]
    decorated.cache_clear()
    assert 0 == decorated.cache_info().currsize
    assert "own" == span("Cart/Total")(Callable()).mark
    typed = span("Cart/Total")(dispatched)
    typed.register(str)(lambda text: text)
    assert "a" == typed("a")


def test_odd_results_are_returned_as_they_are(scout):
    class Meta(type):
        def __getattr__(cls, name):
            raise RuntimeError(f"nobody may ask this class for {name}")

        __eq__ = __hash__ = lambda *args: 1 / 0

    class Hostile(metaclass=Meta):
        def __getattribute__(self, name):
            raise RuntimeError(f"nobody may ask this object for {name}")

    class Refusing:
        def add_done_callback(self, callback):
            raise RuntimeError("closed")

    for made in (Hostile(), Refusing(), iter([1]), Hostile):
        with transaction("Controller/home"):
            assert span("Cart/Total")(lambda made=made: made)() is made

    assert 4 == scout.operations.count("Cart/Total")


_Content = TypeVar("_Content")


class Box(Generic[_Content]):
    pass


@pytest.mark.parametrize(
    "alias", [list[int], dict[str, int], Box[int], collections.deque[str]], ids=["list", "dict", "own", "deque"]
)
def test_a_generic_alias_is_refused_as_its_class_is(alias):
    with pytest.raises(TypeError, match="classes cannot be decorated: decorate the methods of .* instead"):
        span("Work/make")(alias)


@pytest.mark.parametrize("decorate", [span("Work/area"), transaction("Job/area")], ids=["span", "transaction"])
def test_a_singledispatchmethod_is_refused_with_the_place_for_the_decorator(decorate):
    with pytest.raises(TypeError, match="decorate the functions below it and below register"):

        class Shapes:
            @decorate
            @functools.singledispatchmethod
            def area(self, shape):
                return 0


def test_a_decorator_below_singledispatchmethod_and_register_times_each_function(scout):
    class Shapes:
        @functools.singledispatchmethod
        @span("Work/other")
        def area(self, shape):
            return "other"

        @area.register(int)
        @span("Work/int")
        def _(self, shape):
            return "int"

    with transaction("Job/shapes"):
        assert ("other", "int") == (Shapes().area("x"), Shapes().area(1))

    assert ["Work/other", "Work/int", "Job/shapes"] == scout.operations


# Without an agent


class Thing:
    """Neither plain nor work to come."""

    @span("Cart/Items")
    def method(self, value):
        return value

    @staticmethod
    @transaction("Job/work")
    def static(value):
        return value

    @classmethod
    @span("Cart/Items")
    def of_class(cls, value):
        return value


class Waiting:
    """Can be awaited."""

    def __await__(self):
        yield


@span("Cart/Items")
async def later(value):
    return value


FORMS = {
    "function": span("Cart/Items")(lambda value: value),
    "transaction": transaction("Job/work")(lambda value: value),
    "partial": span("Cart/Items")(functools.partial(lambda value: value)),
    "async": lambda value: asyncio.run(later(value)),
    "method": lambda value: Thing().method(value),
    "static": Thing.static,
    "class": Thing.of_class,
}
RESULTS = {
    "object": object,
    "thing": Thing,
    "generator": lambda: (number for number in ()),
    "map": lambda: map(str, ()),
    "awaitable": Waiting,
    "file": lambda: open(os.devnull),  # noqa: SIM115  # closed below
    "future": Future,
    "class": lambda: Thing,
    "plain": list,
}


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("name", FORMS)
def test_without_an_agent_a_decorated_function_gives_what_it_gives(name, make):
    assert context.tracer is None
    result = make()
    try:
        assert [True, True] == [FORMS[name](result) is result for _ in range(2)]
    finally:
        if hasattr(result, "close"):
            result.close()


@pytest.mark.parametrize("make", [object, Thing, list])
def test_a_function_that_was_called_before_the_agent_started_is_recorded(make):
    @span("Cart/Items")
    def work(value):
        return value

    results = [make() for _ in range(3)]
    assert results[0] is work(results[0])
    with recording(plugins_autoload=False) as scout:
        with transaction("Job/work"):
            assert results[1] is work(results[1])
        assert ["Cart/Items", "Job/work"] == scout.operations
    assert results[2] is work(results[2])


def test_the_object_of_a_decorated_constructor_is_the_applications_own(scout):
    class Query(Waiting):
        @span("Cart/Query")
        def __new__(cls, value):
            return super().__new__(cls)

        def __init__(self, value):
            self.value = value

    with transaction("Job/work"):
        made = Query(7)

    assert (Query, 7) == (type(made), made.value)
    assert ["Cart/Query", "Job/work"] == scout.operations
