"""The tests of the plugin: what its author writes."""

from __future__ import annotations

import pytest
import shelf

from scout_core.testing import Call, conformance, hostile


@pytest.fixture
def books():
    return shelf.Branch(emma=["Emma"])


def makes():
    assert ["emma"] == shelf.Shelf.of(hostile("emma")).fetch("emma")


def tidies():
    assert "emma" == shelf.Shelf.tidy(hostile(" emma "))


def fetches(books):
    assert ["Emma"] == books.fetch(hostile("emma"))


async def fetches_async(books):
    assert ["Emma"] == await books.fetch_async(hostile("emma"))


def lends(books):
    assert ["Emma"] == books.lend(hostile("emma"))


def orders(books):
    assert ["Emma"] == books.order(hostile("emma"), [("X-Reader", hostile("Ada"))])


async def lends_async(books):
    assert ["Emma"] == await books.lend_async(hostile("emma"))


def misses_to_lend(books):
    books.lend(hostile("ulysses"))


async def misses_async(books):
    await books.lend_async("ulysses")


def attach(books):
    from scout_shelf import Scout

    Scout(books)


test_conformance = conformance(
    "scout_shelf",
    makes,
    tidies,
    Call(fetches, attach=attach),
    fetches_async,
    lends,
    orders,
    lends_async,
    Call(misses_to_lend, raises=shelf.MissingError),
    Call(misses_async, raises=shelf.MissingError),
)
