"""Web sockets: transactions with the option ``web_sockets`` only."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from scout_core import span
from scout_core.instruments.asgi import ABORTED

ON = {"starlette": {"web_sockets": True}}


class Broken(Exception):
    """An error of the application."""


async def chat(socket):
    await socket.accept()
    with span("SQL/Query"):
        await socket.send_text(await socket.receive_text())
    await socket.close()


async def wait(socket):
    await socket.accept()
    await socket.receive_text()


async def broken(socket):
    raise Broken


def connect(app, path, *received):
    async def connect():
        messages = [{"type": "websocket.connect"}, *received]
        sent = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message["type"])

        scope = {
            "type": "websocket", "path": path, "query_string": b"", "headers": [], "root_path": "", "client": ("192.0.2.7", 1),
            "server": None, "scheme": "ws", "subprotocols": [],
        }  # fmt: skip
        await app(scope, receive, send)
        return sent

    return asyncio.run(connect())


HELLO = {"type": "websocket.receive", "text": "hello"}
LEFT = {"type": "websocket.disconnect", "code": 1001}
APP = Starlette(
    routes=[
        Mount("/room/{room}", routes=[WebSocketRoute("/chat", chat)]),
        WebSocketRoute("/wait", wait),
        WebSocketRoute("/broken", broken),
    ]
)


def test_a_web_socket_passes_unrecorded_by_default(scout):
    assert ["websocket.accept", "websocket.send", "websocket.close"] == connect(APP, "/room/tea/chat", HELLO)
    assert ([], []) == (scout.transactions, scout.ignored)


@pytest.mark.scout(plugin_options=ON)
def test_a_connection_is_a_transaction_with_the_option(scout):
    assert ["websocket.accept", "websocket.send", "websocket.close"] == connect(APP, "/room/tea/chat", HELLO)

    socket = scout.transaction
    assert (f"WebSocket/{__name__}.chat", "/room/{room}/chat") == (socket.operation, socket.tags["route"])
    assert (["SQL/Query"], False) == ([seen.operation for seen in socket.spans], socket.is_error)
    assert ABORTED not in socket.tags


@pytest.mark.scout(plugin_options=ON)
def test_one_of_fastapi(scout):
    app = FastAPI()

    @app.websocket("/chat/{room}")
    async def talk(socket: WebSocket, room: str):
        await chat(socket)

    assert ["websocket.accept", "websocket.send", "websocket.close"] == connect(app, "/chat/tea", HELLO)
    assert "/chat/{room}" == scout.transaction.tags["route"]
    assert "talk" in scout.transaction.operation


@pytest.mark.scout(plugin_options=ON)
def test_a_client_that_leaves_is_not_an_error(scout):
    with pytest.raises((WebSocketDisconnect, KeyError)):  # older versions look for a text in the message
        connect(APP, "/wait", LEFT)

    assert f"WebSocket/{__name__}.wait" == scout.transaction.operation


@pytest.mark.scout(plugin_options=ON)
def test_an_error_of_the_application_is_recorded_and_an_unknown_path_is_ignored(scout):
    with pytest.raises(Broken):
        connect(APP, "/broken")
    connect(APP, "/nothing")

    assert ("Broken", ["no route"]) == (
        scout.transaction.error.rpartition(".")[2],
        [reason for _, reason in scout.ignored],
    )
