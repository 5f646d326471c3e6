"""The conformance suite on Jinja2 itself."""

from __future__ import annotations

import jinja2
from jinja2.nativetypes import NativeEnvironment

from scout_core.testing import Call, conformance, hostile

GREETING = "hello {{ name }}"
ENVIRONMENT = jinja2.Environment()
ASYNC = jinja2.Environment(enable_async=True)


def renders() -> None:
    assert "hello hostile" == ENVIRONMENT.from_string(GREETING).render(name=hostile())


def renders_native() -> None:
    assert 3 == NativeEnvironment().from_string("{{ number }}").render(number=hostile(3))


async def renders_async() -> None:
    assert "hello hostile" == await ASYNC.from_string(GREETING).render_async(name=hostile())


def renders_async_from_outside_a_loop() -> None:
    assert "hello hostile" == ASYNC.from_string(GREETING).render(name=hostile())


def misses_a_variable() -> None:
    jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(GREETING).render()


async def misses_a_variable_async() -> None:
    await jinja2.Environment(undefined=jinja2.StrictUndefined, enable_async=True).from_string(GREETING).render_async()


test_conformance = conformance(
    "scout_jinja2",
    renders,
    renders_native,
    renders_async,
    renders_async_from_outside_a_loop,
    Call(misses_a_variable, raises=jinja2.UndefinedError),
    Call(misses_a_variable_async, raises=jinja2.UndefinedError),
)
