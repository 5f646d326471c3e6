"""Generators and async generators that are thrown into, closed or sent to before they begin: as without a span."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from scout_core import span, transaction
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper


def rows():
    yield 1
    yield 2


async def async_rows():
    yield 1
    yield 2


def described(*args, **kwargs):
    return span("Work/rows")


def described_with_result(*args, **kwargs):
    yield span("Work/rows")


def wrapped(function):
    return describing_wrapper(function, Guard("shop", "shop:rows", described), is_root=False)


def wrapped_with_result(function):
    guard = Guard("shop", "shop:rows", described_with_result, has_steps=True)
    return describing_wrapper(function, guard, is_root=False)


WAYS = {"span": span("Work/rows"), "wrap": wrapped, "wrap with yield": wrapped_with_result}
STEPS = {
    "throw": lambda generator: generator.throw(KeyError("plan")),
    "next": next,
    "send": lambda generator: generator.send(1),
    "close": lambda generator: generator.close(),
}
ASYNC_STEPS = {
    "throw": lambda generator: generator.athrow(KeyError("plan")),
    "next": lambda generator: generator.__anext__(),
    "send": lambda generator: generator.asend(1),
    "close": lambda generator: generator.aclose(),
}


def outcomes(generator, names):
    """Return what each step gives or raises, and whether the generator has ended by then."""
    found = []
    for name in names:
        try:
            given = STEPS[name](generator)
        except Exception as error:
            given = repr(error)
        found.append((given, generator.gi_frame is None))
    return found


async def async_outcomes(generator, names):
    found = []
    for name in names:
        try:
            given = await ASYNC_STEPS[name](generator)
        except Exception as error:
            given = repr(error)
        found.append((given, generator.ag_frame is None))
    await generator.aclose()
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["throw", "send", "close"])
def test_a_generator_that_has_not_begun_does_the_same(scout, way, first):
    for names in itertools.product((first,), STEPS, STEPS):
        with transaction("Job/a"):
            assert outcomes(rows(), names) == outcomes(WAYS[way](rows)(), names)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["throw", "send", "close"])
def test_an_async_generator_that_has_not_begun_does_the_same(scout, way, first):
    async def compare():
        for names in itertools.product((first,), ASYNC_STEPS, ASYNC_STEPS):
            with transaction("Job/a"):
                assert await async_outcomes(async_rows(), names) == await async_outcomes(WAYS[way](async_rows)(), names)

    asyncio.run(compare())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["throw", "close"])
def test_neither_has_a_span_when_it_ends_before_it_begins(scout, way, first):
    with transaction("Job/a"):
        outcomes(WAYS[way](rows)(), (first, "next"))
        asyncio.run(async_outcomes(WAYS[way](async_rows)(), (first, "next")))

    assert ["Job/a"] == scout.operations


@pytest.mark.parametrize("way", WAYS)
def test_an_athrow_that_is_not_awaited_changes_nothing(scout, way):
    """A stand-in must not take it for the end."""

    async def read(generator):
        thrown = generator.athrow(KeyError("plan"))
        first = await generator.__anext__()
        with pytest.raises(KeyError):
            await thrown
        return first

    with transaction("Job/a"):
        assert asyncio.run(read(async_rows())) == asyncio.run(read(WAYS[way](async_rows)()))

    assert ["Work/rows", "Job/a"] == scout.operations
