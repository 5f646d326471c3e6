"""``@span`` and ``@transaction`` on functions."""

from __future__ import annotations

import asyncio
import functools
import inspect

import pytest

from scout_core import current_transaction, span, transaction


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


@pytest.mark.parametrize("function", [generate, generate_async, functools.partial(generate)])
def test_a_generator_function_is_rejected_with_advice(function):
    with pytest.raises(TypeError, match="generate.* is a generator function: open a span inside it instead"):
        span("Cart/Items")(function)


def test_a_decorated_function_works_without_an_agent():
    @transaction("Job/mail.send")
    def send(number):
        return number, current_transaction()

    assert (1, None) == send(1)
