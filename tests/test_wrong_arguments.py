"""Calls of coroutine functions with wrong arguments raise when they are made, as without a wrapper or decorator."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import itertools
import pickle
import sys
import warnings
import weakref
from contextlib import contextmanager

import pytest

from scout_core import propagate, span, transaction
from scout_core.boundary.bound_calls import Original
from scout_core.boundary.describing import describe_or_send
from scout_core.boundary.guard import Guard
from scout_core.boundary.header_places import HeaderParameter
from scout_core.boundary.wrappers import around_wrapper, describing_wrapper
from scout_core.testing import recording
from tests.workbench import plugin


async def fetch(number, /, name, size=1, *, key, mode=None):
    """Fetch it."""
    await asyncio.sleep(0)
    return number, name, size, key, mode


async def few(number, size=1):
    return number, size


async def none():
    return 0


async def any_number(first, *rest):
    return first, rest


async def named(*, key="a", **others):
    return key, others


async def rows(number, size=1):
    yield number, size


def steps(number, size=1):
    yield number, size


FUNCTIONS = (fetch, few, none, any_number, named, rows, steps)
CALLS = (
    ((), {}),
    ((1,), {}),
    ((1, 2), {}),
    ((1, 2, 3), {}),
    ((1, 2, 3, 4), {}),
    ((1,), {"number": 1}),
    ((1, "a"), {"key": 2}),
    ((1,), {"name": "a", "key": 2}),
    ((1, "a"), {"name": "b", "key": 2}),
    ((1, "a"), {"key": 2, "other": 3}),
    ((), {"number": 1}),
    ((), {"number": 1, "size": 2}),
    ((), {"key": 1}),
    ((), {"first": 1}),
)


def guard(describe):
    return Guard("paying", "shop:work", describe, has_steps=inspect.isgeneratorfunction(describe))


def described(*args, **kwargs):
    return span("Shop/Call")


def described_with_result(*args, **kwargs):
    yield span("Shop/Call")


def wrapped(function):
    return describing_wrapper(function, guard(described), is_root=False)


def wrapped_with_result(function):
    return describing_wrapper(function, guard(described_with_result), is_root=True)


def around(function):
    def call(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    return around_wrapper(function, call, lambda: False, has_instance=False)


def composed(function):
    return wrapped(around(span("Shop/Decorated")(function)))


def decorated_partly(function):
    return span("Shop/Call")(functools.partial(function))


def carried(function):
    with transaction("Job/outer"):
        return propagate(function)


WAYS = {
    "wrap": wrapped,
    "wrap with yield": wrapped_with_result,
    "wrap.around": around,
    "several": composed,
    "span": span("Shop/Call"),
    "transaction": transaction("Job/call"),
    "span on span": lambda function: span("Shop/Outer")(span("Shop/Call")(function)),
    "partial": decorated_partly,
    "propagate": carried,
}


def outcome(function, args, kwargs):
    """Return what the call raises, or what its coroutine or generator gives in the end."""
    try:
        made = function(*args, **kwargs)
    except TypeError as error:
        return type(error), str(error)
    if inspect.isgenerator(made):
        return list(made)

    async def read():
        return [item async for item in made] if inspect.isasyncgen(made) else await made

    return asyncio.run(read())


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("way", WAYS)
def test_wrong_arguments_raise_at_the_call_as_without_it(scout, way, function):
    replaced = WAYS[way](function)
    with transaction("Job/a"):
        found = [outcome(replaced, args, kwargs) for args, kwargs in CALLS]

    assert [outcome(function, args, kwargs) for args, kwargs in CALLS] == found


async def send(url, headers=None):
    return url


def test_calls_that_send_headers_raise_at_the_call(scout):
    given = Guard("paying", "shop:send", lambda url, headers=None: span("Shop/Call", url=url))
    sending = describe_or_send(given, False, HeaderParameter("headers", ()), Original(send, send))
    wrong = [((), {}), ((1, 2, 3), {}), (("a",), {"other": 1})]
    with transaction("Job/a"):
        found = [outcome(sending, args, kwargs) for args, kwargs in wrong]
        assert "a" == outcome(sending, ("a",), {}) == outcome(sending, (), {"url": "a"})

    assert [outcome(send, args, kwargs) for args, kwargs in wrong] == found
    assert ["Shop/Call"] * 2 == [recorded.operation for recorded in scout.spans]


class Shop:
    async def method(self, number):
        return number

    @classmethod
    async def of_class(cls, number):
        return number

    @staticmethod
    async def static(number):
        return number

    partly = functools.partialmethod(method, 1)

    async def __call__(self, number):
        return number


shop, partly = Shop(), functools.partial(few, 1)
WRONG = [((), {}), ((1, 2, 3), {}), ((1,), {"other": 2})]


@contextmanager
def instrumented(target, plugins):
    def instrument(wrap):
        wrap(target, described)

    with recording(plugins=[plugin(f"shop{number}", instrument=instrument) for number in range(plugins)]) as scout:
        yield scout


@pytest.mark.parametrize(
    "name, plugins",
    [
        ("partly", 1),
        *itertools.product(("Shop.method", "Shop.of_class", "Shop.static", "Shop.partly", "shop", "few"), (1, 2)),
    ],
)
def test_targets_of_every_kind_raise_at_the_call(name, plugins):
    def found():
        target = shop if name.startswith("Shop.") else sys.modules[__name__]
        return getattr(target, name.removeprefix("Shop."))

    expected = [outcome(found(), args, kwargs) for args, kwargs in WRONG]
    is_async = inspect.iscoroutinefunction(found())
    with instrumented(f"{__name__}:{name}", plugins) as scout, transaction("Job/a"):
        assert expected == [outcome(found(), args, kwargs) for args, kwargs in WRONG]
        assert is_async == inspect.iscoroutinefunction(found())
        asyncio.run(found()(*(() if "partly" in name else (1,))))

    recorded = [recorded.operation for recorded in scout.spans]
    assert recorded == ["Shop/Call"] * len(recorded)
    assert len(recorded) >= plugins


def test_a_decorated_object_whose_calls_are_async_raises_at_the_call(scout):
    decorated = span("Shop/Call")(Shop())
    with transaction("Job/a"):
        assert outcome(Shop(), (), {}) == outcome(decorated, (), {})
        assert 1 == outcome(decorated, (1,), {})

    assert inspect.iscoroutinefunction(decorated.__call__)
    assert ["Shop/Call", "Job/a"] == scout.operations


def test_a_function_that_is_only_marked_as_async_is_called_once(scout):
    """Calling it runs code, so its arguments are not tried before."""
    if sys.version_info < (3, 12):
        pytest.skip("not on Python before 3.12, where functions cannot be marked as async")
    calls = []

    @inspect.markcoroutinefunction
    def marked(number):
        calls.append(number)
        return few(number)

    with transaction("Job/a"):
        assert (1, 1) == outcome(wrapped(marked), (), {"number": 1})

    assert [1] == calls


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"partial"}))
def test_a_replacement_looks_like_the_function(scout, way, monkeypatch):
    replaced = WAYS[way](fetch)
    monkeypatch.setattr(sys.modules[__name__], "fetch", replaced)

    assert inspect.iscoroutinefunction(replaced)
    assert asyncio.iscoroutinefunction(replaced)
    assert inspect.isfunction(replaced)
    assert "(number, /, name, size=1, *, key, mode=None)" == str(inspect.signature(replaced))
    assert ("fetch", "fetch", "Fetch it.") == (replaced.__name__, replaced.__qualname__, replaced.__doc__)
    assert replaced is copy.deepcopy(replaced) is pickle.loads(pickle.dumps(replaced))
    assert weakref.ref(replaced)() is replaced
    bound = replaced.__get__(Shop())
    assert inspect.ismethod(bound)
    assert inspect.iscoroutinefunction(bound)
    assert weakref.WeakMethod(bound)() == bound


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kwargs", [{}, {"size": 2}])
def test_a_coroutine_that_is_never_awaited_warns_once_with_the_name_of_the_function(scout, way, kwargs):
    with transaction("Job/a"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WAYS[way](few)(1, **kwargs)
        gc.collect()

    assert ["coroutine 'few' was never awaited"] == [str(warning.message).partition("\n")[0] for warning in caught]
    assert [RuntimeWarning] == [warning.category for warning in caught]


@pytest.mark.parametrize("way", WAYS)
def test_a_coroutine_that_is_closed_or_thrown_into_before_it_begins_runs_nothing(scout, way):
    replaced = WAYS[way](few)
    scout.forget()
    with transaction("Job/a"), warnings.catch_warnings():
        warnings.simplefilter("error")
        replaced(1).close()
        with pytest.raises(KeyError):
            replaced(1, size=2).throw(KeyError("plan"))

    assert [] == [recorded.operation for recorded in scout.spans]
