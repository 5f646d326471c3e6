"""The rules for plugins of web frameworks, on Flask itself and on a server with real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import flask
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from scout_core.testing.web import HttpCaller, Shop, SoldOut, WebSuite, WsgiCaller
from scout_flask import ScoutApm


class TestFlask(WebSuite):
    def make_app(self, shop: Shop) -> Any:
        app = flask.Flask("shop")
        app.logger.disabled = True

        @app.get("/")
        def home() -> str:
            return shop.home()

        @app.get("/article/<int:number>")
        def article(number: int) -> str:
            return shop.article(number)

        @app.get("/broken")
        def broken() -> str:
            return shop.broken()

        @app.get("/sold_out")
        def sold_out() -> str:
            return shop.sold_out()

        @app.errorhandler(SoldOut)
        def answer(error: SoldOut) -> tuple[str, int]:
            return "sold out", 409

        @app.get("/missing")
        def missing() -> None:
            flask.abort(404)

        @app.get("/unavailable")
        def unavailable() -> tuple[str, int]:
            return "unavailable", 503

        @app.get("/moved")
        def moved() -> Any:
            return flask.redirect("/")

        @app.get("/late")
        def late() -> str:
            return shop.late()

        @app.get("/stream")
        def stream() -> Iterator[str]:
            return shop.stream()

        @app.get("/broken_stream")
        def broken_stream() -> Iterator[str]:
            return shop.broken_stream()

        @app.get("/endless")
        def endless() -> Iterator[str]:
            return shop.endless()

        return app

    def attach_again(self, app: Any) -> Any:
        ScoutApm(app)
        return app


class TestPropagatingFlask(TestFlask):
    """Exceptions leave the application, as in tests of an application."""

    def make_app(self, shop: Shop) -> Any:
        app = super().make_app(shop)
        app.testing = True
        return app


class TestFlaskAsync(TestFlask):
    """Views are ``async``; Flask runs each in a thread of its own."""

    def make_app(self, shop: Shop) -> Any:
        pytest.importorskip("asgiref")
        app = super().make_app(shop)

        async def home() -> str:
            return shop.home()

        async def article(number: int) -> str:
            return await shop.article_async(number)

        async def broken() -> str:
            return shop.broken()

        async def sold_out() -> str:
            return shop.sold_out()

        async def late() -> str:
            return shop.late()

        app.view_functions.update(home=home, article=article, broken=broken, sold_out=sold_out, late=late)
        return app


class Quiet(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Log nothing."""


class TestFlaskOnAServer(TestFlask):
    """Werkzeug's server, over sockets."""

    def call(self, app: Any) -> HttpCaller:
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def close() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        return HttpCaller(f"http://127.0.0.1:{server.server_port}", close)


def test_the_suite_calls_flask_as_wsgi():
    assert isinstance(TestFlask().call(flask.Flask("shop")), WsgiCaller)
