"""An ASGI application without a framework, and a client that calls ASGI applications without sockets."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.agents.protocol import AsgiApp

HEADERS = (
    (b"host", b"localhost"), (b"user-agent", b"benchmark"), (b"accept", b"text/html"),
)  # fmt: skip


async def constant(scope: dict[str, Any], receive: AsgiApp, send: AsgiApp) -> None:
    """Return a constant."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


class AsgiClient:
    """Calls the application as a server does, but without sockets, in an event loop of its own."""

    def __init__(self, app: AsgiApp) -> None:
        self.app = app
        self.scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/hello", "raw_path": b"/hello", "query_string": b"page=2", "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        }  # fmt: skip
        self.loop = asyncio.new_event_loop()

    def get(self, number: int) -> None:
        """
        Send so many requests, one after another.

        Raises:
            RuntimeError: a status is not 200.
        """
        self.loop.run_until_complete(self._get(number))

    async def _get(self, number: int) -> None:
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        for _ in range(number):
            await self.app({**self.scope, "headers": [*HEADERS], "state": {}}, receive, send)
        if statuses != [200] * number:
            raise RuntimeError(f"answered {sorted(set(statuses))}, {len(statuses)} times")
