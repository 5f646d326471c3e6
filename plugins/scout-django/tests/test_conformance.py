"""The conformance suite on Django itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.core.cache import caches
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import Http404, HttpResponse
from django.template import Context, Template, TemplateSyntaxError
from django.test import Client
from django.test.utils import override_settings
from django.urls import path

from scout_core.testing import Call, conformance, hostile


class OutOfStock(Exception):
    """The application's own error; the test client raises it again."""


def home(request: Any) -> HttpResponse:
    request.cart = hostile()
    return HttpResponse("home")


async def later(request: Any) -> HttpResponse:
    return HttpResponse("later")


def broken(request: Any) -> HttpResponse:
    raise OutOfStock


def missing(request: Any) -> HttpResponse:
    raise Http404


def handled(request: Any) -> HttpResponse:
    raise KeyError("tea")


class Answers:
    """Middleware that answers an exception."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self._get_response(request)

    def process_exception(self, request: Any, error: Exception) -> HttpResponse | None:
        return HttpResponse("sold out") if isinstance(error, KeyError) else None


URLS = tuple(path(view.__name__, view) for view in (home, later, broken, missing, handled))


@pytest.fixture(autouse=True)
def project() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=URLS, MIDDLEWARE=[f"{__name__}.Answers"]):
        yield


def answers() -> None:
    assert Apps([]).ready  # is set up first
    assert b"home" == Client().get("/home").content


def answers_from_an_async_view() -> None:
    assert b"later" == Client().get("/later").content


def answers_that_nothing_is_there() -> None:
    assert 404 == Client().get("/missing").status_code


def answers_an_error() -> None:
    assert b"sold out" == Client().get("/handled").content


def fails() -> None:
    Client().get("/broken")


def fails_through_the_server() -> None:
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
        Client().get("/broken")


async def answers_asgi(path: str) -> int:
    """Answer a request of an ASGI server, and return the status."""
    from asgiref.sync import ThreadSensitiveContext
    from django.core.handlers.asgi import ASGIHandler

    sent: list[Any] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return requests.pop() if requests else await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "root_path": ""}
    async with ThreadSensitiveContext():  # otherwise, before Django 4.0, in a thread that a forked child does not have
        await ASGIHandler()(scope, receive, send)
    return sent[0]["status"]


def answers_an_asgi_server() -> None:
    assert 200 == asyncio.run(answers_asgi("/later"))


def answers_the_async_client() -> None:
    from asgiref.sync import ThreadSensitiveContext
    from django.test import AsyncClient

    async def ask() -> bytes:
        async with ThreadSensitiveContext():  # otherwise in a thread of the process, which a forked child does not have
            return (await AsyncClient().get("/later")).content

    assert b"later" == asyncio.run(ask())


def uses_a_database() -> None:
    connection = connections["default"].copy()
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE item (name TEXT)")
            cursor.executemany("INSERT INTO item VALUES (%s)", [("tea",), ("jam",)])
            cursor.execute("SELECT name FROM item WHERE name <> %s", [hostile("jam")])
            cursor.execute("DROP TABLE item")  # the database is a file after other tests
    finally:
        BaseDatabaseWrapper.close(connection)  # its own method leaves a database in memory open


def calls_a_procedure() -> None:
    connection = connections["default"].copy()
    try:
        with connection.cursor() as cursor:
            cursor.callproc("restock")
    finally:
        BaseDatabaseWrapper.close(connection)  # its own method leaves a database in memory open


def renders_a_template() -> None:
    page = Template("{% block body %}{{ item }}{% endblock %}")
    assert "tea" == page.render(Context({"item": hostile("tea")}))


def fails_in_a_template() -> None:
    Template("{% unknown %}")


def uses_a_cache() -> None:
    cache = caches.create_connection("default")
    key = hostile("key")
    cache.set(key, 1)
    assert 1 == cache.get(key)
    cache.clear()


test_conformance = conformance(
    "scout_django",
    answers,
    answers_from_an_async_view,
    answers_that_nothing_is_there,
    answers_an_error,
    Call(fails, raises=OutOfStock),
    Call(fails_through_the_server, raises=OutOfStock),
    uses_a_database,
    Call(calls_a_procedure, raises=AttributeError),
    renders_a_template,
    Call(fails_in_a_template, raises=TemplateSyntaxError),
    uses_a_cache,
    answers_an_asgi_server,
    answers_the_async_client,
)
