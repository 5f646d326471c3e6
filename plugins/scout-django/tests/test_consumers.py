"""Consumers of Django Channels: web sockets with the option ``web_sockets`` only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.consumer import AsyncConsumer
from channels.db import database_sync_to_async
from channels.exceptions import StopConsumer
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.test.utils import override_settings
from django.urls import path

ON = {"plugin_options": {"django": {"web_sockets": True}}}


class OutOfStock(Exception):
    """The application's own error."""


def query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    connection.close()


class Chat(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await database_sync_to_async(query)()
        await self.send(text_data=text_data)


class Plain(WebsocketConsumer):
    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        query()
        self.send(text_data=text_data)


class Broken(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        raise OutOfStock


class Stock(AsyncHttpConsumer):
    async def handle(self, body: bytes) -> None:
        await self.send_response(200 if not body else 503, b"tea")


class Worker(AsyncConsumer):
    async def stock_count(self, message: dict[str, Any]) -> None:
        await self.send({"type": "counted"})
        raise StopConsumer


def project() -> ProtocolTypeRouter:
    """Return the application; its handler is made after the agent has started, as in a project."""
    sockets = URLRouter([path(f"{kind.__name__}/", kind.as_asgi()) for kind in (Chat, Plain, Broken)])
    http = URLRouter([path("stock/", Stock.as_asgi()), path("", ASGIHandler())])
    return ProtocolTypeRouter({"http": http, "websocket": sockets, "channel": Worker.as_asgi()})


def scope(kind: str, path: str) -> dict[str, Any]:
    return {
        "type": kind, "path": path, "method": "GET", "query_string": b"", "headers": [], "root_path": "", "client": ("192.0.2.7", 1),
    }  # fmt: skip


def connect(facts: dict[str, Any], *messages: dict[str, Any], answers: int) -> list[str]:
    """Send messages, and return the types of so many answers, after the application has returned."""

    async def run() -> list[str]:
        with override_settings(ROOT_URLCONF=()):
            communicator = ApplicationCommunicator(project(), facts)
            for message in messages:
                await communicator.send_input(message)
            found = [(await communicator.receive_output(10))["type"] for _ in range(answers)]
            await communicator.wait(10)
            return found

    return asyncio.run(run())


def talk(path: str) -> list[str]:
    opened, hello = {"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}
    left = {"type": "websocket.disconnect", "code": 1001}
    return connect(scope("websocket", path), opened, hello, left, answers=2)


@pytest.mark.parametrize("path", ["/Chat/", "/Plain/"])
def test_a_web_socket_is_not_recorded_by_default(scout, path):
    assert ["websocket.accept", "websocket.send"] == talk(path)

    assert [] == scout.operations


@pytest.mark.scout(**ON)
@pytest.mark.parametrize("name", ["Chat", "Plain"])
def test_a_web_socket_is_a_transaction_by_option(scout, name):
    assert ["websocket.accept", "websocket.send"] == talk(f"/{name}/")

    # A plugin of the driver also records the statements that Django itself sends to a new connection.
    assert ["default"] == [span.tags["database"] for span in scout.spans if "database" in span.tags]
    assert {"SQL/Query"} == {span.operation for span in scout.spans}
    assert f"WebSocket/{__name__}.{name}" == scout.transaction.operation
    assert ("/" + name + "/", "192.0.2.7", False) == (
        scout.transaction.tags["path"], scout.transaction.tags["user_ip"], scout.transaction.is_error,
    )  # fmt: skip


@pytest.mark.scout(**ON)
def test_an_error_of_a_consumer_is_that_of_its_transaction(scout):
    with pytest.raises(OutOfStock):
        connect(
            scope("websocket", "/Broken/"),
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "hello"},
            answers=2,
        )

    assert [f"{__name__}.OutOfStock"] == [error.exception for error in scout.transaction.errors]
    assert f"WebSocket/{__name__}.Broken" == scout.transaction.operation


@pytest.mark.parametrize(("body", "is_error"), [(b"", False), (b"order", True)])
def test_a_consumer_of_http_is_a_request(scout, body, is_error):
    request = {"type": "http.request", "body": body, "more_body": False}
    assert ["http.response.start", "http.response.body"] == connect(scope("http", "/stock/"), request, answers=2)

    assert (f"Controller/{__name__}.Stock", is_error) == (scout.transaction.operation, scout.transaction.is_error)


@pytest.mark.scout(**ON)
def test_a_worker_is_not_recorded(scout):
    assert ["counted"] == connect({"type": "channel", "channel": "stock"}, {"type": "stock.count"}, answers=1)

    assert [] == scout.operations
