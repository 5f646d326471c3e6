"""The web suite on ``AsgiMiddleware``, around an application without a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.testing.web import Shop, SoldOut, WebSuite
from tests.test_web_suite_wsgi import NOT_SEEN

Send = Callable[[dict[str, Any]], Awaitable[None]]


def plain_app(shop: Shop) -> Callable[..., Awaitable[None]]:
    """Return an application that has a function for each route of the suite, and nothing else."""

    async def respond(path: str) -> tuple[int, str]:
        if path.startswith("/article/"):
            return 200, await shop.article_async(int(path.rpartition("/")[2]))
        texts = {"/": shop.home, "/broken": shop.broken, "/sold_out": shop.sold_out, "/late": shop.late}
        if path in texts:
            return 200, texts[path]()
        return {"/missing": 404, "/unavailable": 503, "/moved": 302}.get(path, 404), ""

    async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("nothing to start")
        streams = {
            "/stream": shop.stream_async, "/broken_stream": shop.broken_stream_async, "/endless": shop.endless_async,
        }  # fmt: skip
        start = {"type": "http.response.start", "headers": [(b"content-type", b"text/plain")]}
        if scope["path"] in streams:
            await send({**start, "status": 200})
            parts = streams[scope["path"]]()
            try:
                async for part in parts:
                    await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
            finally:
                await parts.aclose()
            await send({"type": "http.response.body"})
            return
        try:
            status, body = (405, "") if scope["method"] == "POST" else await respond(scope["path"])
        except SoldOut:
            status, body = 409, ""
        await send({**start, "status": status})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


def name(scope: dict[str, Any]) -> str:
    view = scope["path"].split("/")[1] or "home"
    is_routed = view != "nothing" and scope["method"] != "POST"
    return f"Controller/{__name__}.{view}" if is_routed else "Controller/unrouted"


class TestAsgiMiddleware(WebSuite):
    unrouted = "Controller/unrouted"
    skip = {"handled_errors": NOT_SEEN}

    def make_app(self, shop: Shop) -> Any:
        return plain_app(shop)

    def attach(self, app: Any) -> Any:
        return AsgiMiddleware(app, name=name)
