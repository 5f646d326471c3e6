"""The web suite on ``WsgiMiddleware``, around an application without a framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scout_core.instruments.wsgi import WsgiMiddleware
from scout_core.testing.web import Shop, SoldOut, WebSuite

NOT_SEEN = "not with middleware by itself: it does not see an exception that the application answers"


def plain_app(shop: Shop) -> Callable[..., Iterable[bytes]]:
    """Return an application that has a function for each route of the suite, and nothing else."""

    def streamed(parts: Iterable[str]) -> Iterable[bytes]:
        return (part.encode() for part in parts)

    def respond(path: str) -> tuple[str, Iterable[bytes]]:
        if path.startswith("/article/"):
            return "200 OK", [shop.article(int(path.rpartition("/")[2])).encode()]
        streams = {"/stream": shop.stream, "/broken_stream": shop.broken_stream, "/endless": shop.endless}
        if path in streams:
            return "200 OK", streams[path]()
        texts = {"/": shop.home, "/broken": shop.broken, "/sold_out": shop.sold_out, "/late": shop.late}
        if path in texts:
            return "200 OK", [texts[path]().encode()]
        statuses = {"/missing": "404 Not Found", "/unavailable": "503 Service Unavailable", "/moved": "302 Found"}
        return statuses.get(path, "404 Not Found"), []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            status, body = "405 Method Not Allowed", []
        else:
            try:
                status, body = respond(environ["PATH_INFO"])
            except SoldOut:
                status, body = "409 Conflict", []
        start_response(status, [("Content-Type", "text/plain")])
        return body if isinstance(body, list) else Encoded(body)

    return app


class Encoded:
    """The body of a stream."""

    def __init__(self, parts: Any) -> None:
        self.parts = parts

    def __iter__(self) -> Iterable[bytes]:
        return (part.encode() for part in self.parts)

    def close(self) -> None:
        self.parts.close()


def name(environ: dict[str, Any]) -> str:
    view = environ["PATH_INFO"].split("/")[1] or "home"
    is_routed = view != "nothing" and environ["REQUEST_METHOD"] != "POST"
    return f"Controller/{__name__}.{view}" if is_routed else "Controller/unrouted"


class TestWsgiMiddleware(WebSuite):
    unrouted = "Controller/unrouted"
    skip = {"handled_errors": NOT_SEEN}

    def make_app(self, shop: Shop) -> Any:
        return plain_app(shop)

    def attach(self, app: Any) -> Any:
        return WsgiMiddleware(app, name=name)
