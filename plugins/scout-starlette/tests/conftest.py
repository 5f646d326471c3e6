"""Calling an application as a server does, without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest


class Answer(NamedTuple):
    """A response as the server got it."""

    status: int
    body: bytes
    messages: list[dict[str, Any]]


def scope_of(method: str, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    pairs = [
        (name.lower().encode(), value.encode()) for name, value in ({"host": "shop.test"} | (headers or {})).items()
    ]
    path, _, query = path.partition("?")
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": pairs, "client": ("192.0.2.7", 1), "server": ("shop.test", 80), "state": {},
    }  # fmt: skip


async def call(app: Any, scope: dict[str, Any], body: bytes = b"") -> Answer:
    """Send one request. The client stays until the application returns."""
    messages: list[dict[str, Any]] = []
    request = [{"type": "http.request", "body": body, "more_body": False}]
    is_over = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if request:
            return request.pop()
        await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    try:
        await app(scope, receive, send)
    finally:
        is_over.set()
    status = next((message["status"] for message in messages if message["type"] == "http.response.start"), 0)
    parts = [message.get("body", b"") for message in messages if message["type"] == "http.response.body"]
    return Answer(status, b"".join(parts), messages)


@pytest.fixture
def request_once() -> Callable[..., Any]:
    """Do the same inside a coroutine; the arguments are those of ``ask``."""
    return lambda app, method, path, **more: call(app, scope_of(method, path), **more)


@pytest.fixture
def ask() -> Callable[..., Answer]:
    """``ask(app, "GET", "/path")`` returns the answer; an exception that leaves the application is raised."""

    def ask(app: Any, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        return asyncio.run(call(app, scope_of(method, path, headers), body))

    return ask
