"""The conformance suite on Starlette itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from scout_core.testing import Call, conformance, hostile


class OutOfStock(Exception):
    """The application's own error."""


async def home(request: Any) -> PlainTextResponse:
    request.state.user = hostile()
    return PlainTextResponse("home", background=BackgroundTask(remember, hostile()))


def page(request: Any) -> PlainTextResponse:
    return PlainTextResponse("page")


async def broken(request: Any) -> PlainTextResponse:
    raise OutOfStock


async def sold_out(request: Any, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("sold out")


async def export(request: Any) -> StreamingResponse:
    async def rows() -> AsyncIterator[bytes]:
        yield b"1"

    return StreamingResponse(rows())


async def handled(request: Any) -> PlainTextResponse:
    raise KeyError("tea")


def remember(what: object) -> None:
    pass


@pytest.fixture
def app() -> Starlette:
    routes = [
        Route("/", home),
        Mount("/in", routes=[Route("/page", page)]),
        Route("/broken", broken),
        Route("/handled", handled),
        Route("/export", export),
    ]
    return Starlette(routes=routes, exception_handlers={KeyError: sold_out})


def get(app: Starlette, path: str) -> int:
    sent: list[Any] = []

    bodies = iter([b""])

    async def receive() -> dict[str, Any]:
        if next(bodies, None) is None:
            await asyncio.Event().wait()  # a stream waits for the client to disconnect
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "root_path": "",
        "client": None, "server": None, "scheme": "http",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def answers(app: Starlette) -> None:
    assert 200 == get(app, "/")


def answers_in_a_thread(app: Starlette) -> None:
    assert 200 == get(app, "/in/page")


def answers_an_error(app: Starlette) -> None:
    assert 200 == get(app, "/handled")


def streams(app: Starlette) -> None:
    assert 200 == get(app, "/export")


def fails(app: Starlette) -> None:
    get(app, "/broken")


test_conformance = conformance(
    "scout_starlette", answers, answers_in_a_thread, answers_an_error, streams, Call(fails, raises=OutOfStock)
)
