"""The rules for plugins of web frameworks, on Starlette and FastAPI themselves, with views of both kinds, and on uvicorn."""

from __future__ import annotations

import inspect
import socket
from threading import Thread
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette import responses
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.testing.web import HttpCaller, Shop, SoldOut, WebSuite


def shop_of(request: Request) -> Shop:
    return request.app.state.shop


def home(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).home())


def article(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).article(request.path_params["number"]))


def broken(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).broken())


def sold_out(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).sold_out())


def missing(request: Request) -> Response:
    raise HTTPException(404)


def unavailable(request: Request) -> Response:
    return PlainTextResponse("unavailable", 503)


def moved(request: Request) -> Response:
    return RedirectResponse("/", 302)


def late(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).late())


def stream(request: Request) -> Response:
    return StreamingResponse(shop_of(request).stream())


def broken_stream(request: Request) -> Response:
    return StreamingResponse(shop_of(request).broken_stream())


def endless(request: Request) -> Response:
    return StreamingResponse(shop_of(request).endless())


VIEWS = (home, article, broken, sold_out, missing, unavailable, moved, late, stream, broken_stream, endless)
"""Views that are functions: they run in the pool of threads."""


async def home_async(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).home())


async def article_async(request: Request) -> Response:
    return PlainTextResponse(await shop_of(request).article_async(request.path_params["number"]))


async def broken_async(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).broken())


async def sold_out_async(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).sold_out())


async def late_async(request: Request) -> Response:
    return PlainTextResponse(shop_of(request).late())


async def stream_async(request: Request) -> Response:
    return StreamingResponse(shop_of(request).stream_async())


async def broken_stream_async(request: Request) -> Response:
    return StreamingResponse(shop_of(request).broken_stream_async())


async def endless_async(request: Request) -> Response:
    return StreamingResponse(shop_of(request).endless_async())


ASYNC_VIEWS = (
    home_async, article_async, broken_async, sold_out_async, missing, unavailable, moved, late_async, stream_async,
    broken_stream_async, endless_async,
)  # fmt: skip


def answer(request: Request, error: Exception) -> Response:
    return PlainTextResponse("sold out", 409)


def path_of(view: Any) -> str:
    name = view.__name__.removesuffix("_async")
    return {"home": "/", "article": "/article/{number:int}"}.get(name, f"/{name}")


HAS_GROUPS = "collaps" not in inspect.getsource(responses)
"""An exception of a stream leaves an older Starlette in an ``ExceptionGroup``."""


class TestStarlette(WebSuite):
    views: tuple[Any, ...] = VIEWS
    skip = {"stream_errors": "not with this Starlette, which raises an ExceptionGroup"} if HAS_GROUPS else {}

    def make_app(self, shop: Shop) -> Any:
        routes = [Route(path_of(view), view) for view in self.views]
        app = Starlette(routes=routes, exception_handlers={SoldOut: answer})
        app.state.shop = shop
        return app

    def attach_again(self, app: Any) -> Any:
        return AsgiMiddleware(app)


class TestStarletteAsync(TestStarlette):
    views = ASYNC_VIEWS

    def operation(self, view: str) -> str:
        return super().operation(f"{view}_async" if view not in ("missing", "unavailable", "moved") else view)


class TestFastApi(TestStarletteAsync):
    def make_app(self, shop: Shop) -> Any:
        app = FastAPI(openapi_url=None)
        app.add_exception_handler(SoldOut, answer)
        for view in self.views:
            app.add_api_route(path_of(view), view, methods=["GET", "HEAD"], response_model=None)
        app.state.shop = shop
        return app


class TestStarletteOnAServer(TestStarletteAsync):
    """uvicorn, over sockets; Starlette closes the generator of a client that leaves only if it is ``async``."""

    def call(self, app: Any) -> HttpCaller:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()

        def close() -> None:
            server.should_exit = True
            thread.join()
            listening.close()

        return HttpCaller(f"http://127.0.0.1:{listening.getsockname()[1]}", close)
