"""The rules for plugins of web frameworks, on Django's own handlers for WSGI and ASGI."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.test.utils import override_settings
from django.urls import path

from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.instruments.wsgi import WsgiMiddleware
from scout_core.testing.web import AsgiCaller, Shop, SoldOut, WebSuite

shops: list[Shop] = []
"""The shop behind the views: the last one."""


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].home())


def article(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(shops[-1].article(number))


def broken(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].broken())


def sold_out(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].sold_out())


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


def unavailable(request: HttpRequest) -> HttpResponse:
    return HttpResponse("unavailable", status=503)


def moved(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(status=302)
    response["Location"] = "/"
    return response


def late(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].late())


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(shops[-1].stream())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(shops[-1].broken_stream())


def endless(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(shops[-1].endless())


async def home_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].home())


async def article_async(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(await shops[-1].article_async(number))


async def broken_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].broken())


async def sold_out_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].sold_out())


async def late_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shops[-1].late())


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(shops[-1].stream_async())


async def broken_stream_async(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(shops[-1].broken_stream_async())


async def endless_async(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(shops[-1].endless_async())


def urls(*views: Callable[..., Any]) -> tuple[Any, ...]:
    routes = {"home": "", "article": "article/<int:number>"}
    names = [view.__name__.removesuffix("_async") for view in views]
    return tuple(path(routes.get(name, name), view) for name, view in zip(names, views, strict=True))


URLS = urls(home, article, broken, sold_out, missing, unavailable, moved, late, stream, broken_stream, endless)
STREAMS = (
    (stream_async, broken_stream_async, endless_async) if django.VERSION >= (4, 2) else (stream, broken_stream, endless)
)
ASYNC_URLS = urls(
    home_async, article_async, broken_async, sold_out_async, missing, unavailable, moved, late_async, *STREAMS
)
SYNC = {view.__name__ for view in (missing, unavailable, moved, *STREAMS)}
"""Names of the views among them that are functions."""


class Answers:
    """Middleware that answers an exception of the application, and requests that would change something."""

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return HttpResponse("sold out", status=409) if isinstance(error, SoldOut) else None


class Suite(WebSuite):
    urls = URLS

    @pytest.fixture(autouse=True)
    def project(self) -> Iterator[None]:
        with override_settings(ROOT_URLCONF=self.urls, MIDDLEWARE=[f"{__name__}.Answers"]):
            yield
        shops.clear()


class Leaving(AsgiCaller):
    """Disconnects as uvicorn does: ``send`` raises nothing."""

    def leave(self, path: str) -> None:
        super().leave(path)
        gc.collect()  # Django itself leaves it to this to close the generator


class TestDjango(Suite):
    def make_app(self, shop: Shop) -> Any:
        shops.append(shop)
        return WSGIHandler()

    def attach_again(self, app: Any) -> Any:
        return WsgiMiddleware(app)


class TestPropagatingDjango(TestDjango):
    """Exceptions leave the application."""

    @pytest.fixture(autouse=True)
    def propagating(self) -> Iterator[None]:
        with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True):
            yield


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
@pytest.mark.filterwarnings(
    "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"
)  # by Django, where a stream fails
class TestDjangoAsgi(Suite):
    """Views that are functions: they run in a thread, and a stream is read there as a whole."""

    skip = {"disconnects": "not with ASGI: Django reads a stream that is not async to its end first"}
    at_once = 10 if django.VERSION >= (4, 0) else 1  # Django 3.2 has one thread for the views of all requests

    def make_app(self, shop: Shop) -> Any:
        from django.core.handlers.asgi import ASGIHandler

        shops.append(shop)
        return ASGIHandler()

    def call(self, app: Any) -> AsgiCaller:
        return Leaving(app, version="2.3")

    def attach_again(self, app: Any) -> Any:
        return AsgiMiddleware(app)


class TestDjangoAsync(TestDjangoAsgi):
    urls = ASYNC_URLS
    skip = {} if django.VERSION >= (5, 0) else {"disconnects": "not with Django before 5.0: it sees no client go"}

    def operation(self, view: str) -> str:
        return super().operation(view if view in SYNC else f"{view}_async")
