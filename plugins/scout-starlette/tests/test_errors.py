"""Errors of requests, in every way in which Starlette answers them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from scout_core import record_error
from scout_core.instruments.asgi import ABORTED


class OutOfStock(Exception):
    """An error of the application."""


async def out(request):
    raise OutOfStock("tea")


def out_in_thread(request):
    raise OutOfStock("tea")


async def abort(request):
    raise HTTPException(request.path_params["status"], headers={"X": "y"})


class Around(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


def shop(handlers=None, **more):
    return Starlette(
        routes=[Route("/out", out), Route("/thread", out_in_thread), Route("/abort/{status:int}", abort)],
        exception_handlers=handlers or {},
        **more,
    )


def answer(status):
    async def handler(request, error):
        return PlainTextResponse("sold out", status_code=status)

    return handler


def recorded(scout):
    """Return class and ``handled`` of each error of the only transaction."""
    return [(error.exception.rpartition(".")[2], error.handled) for error in scout.transaction.errors]


@pytest.mark.parametrize("middleware", [[], [Middleware(Around)]], ids=["plain", "base"])
@pytest.mark.parametrize("path", ["/out", "/thread"])
def test_an_error_that_nothing_handles_is_recorded_once(scout, ask, path, middleware):
    with pytest.raises(OutOfStock):
        ask(shop(middleware=middleware), "GET", path)

    assert ([("OutOfStock", False)], True) == (recorded(scout), scout.transaction.is_error)
    (error,) = scout.transaction.errors
    assert (__file__, path[1:].replace("thread", "out_in_thread")) == (error.place[0], error.place[2])
    assert not [frame for frame in error.frames if "scout_core" in frame[0] or "scout_starlette" in frame[0]]


@pytest.mark.parametrize("middleware", [[], [Middleware(Around)]], ids=["plain", "base"])
@pytest.mark.parametrize(("status", "is_error"), [(200, False), (404, False), (500, True), (503, True)])
@pytest.mark.parametrize("path", ["/out", "/thread"])
def test_the_status_of_a_handler_s_answer_decides_whether_the_request_has_failed(
    scout, ask, path, status, is_error, middleware
):
    assert status == ask(shop({OutOfStock: answer(status)}, middleware=middleware), "GET", path).status
    assert ([("OutOfStock", True)], is_error) == (recorded(scout), scout.transaction.is_error)


def test_a_handler_that_is_not_async_and_records_the_error_itself(scout, ask):
    def handler(request, error):
        record_error(error)
        return PlainTextResponse("sold out")

    assert 200 == ask(shop({OutOfStock: handler}), "GET", "/out").status
    assert [("OutOfStock", True)] == recorded(scout)


@pytest.mark.parametrize("key", [500, Exception])
def test_a_handler_for_every_error_answers_one_that_is_not_handled(scout, ask, key):
    """Starlette raises it again after that."""
    with pytest.raises(OutOfStock):
        ask(shop({key: answer(500)}), "GET", "/out")

    assert ([("OutOfStock", False)], True) == (recorded(scout), scout.transaction.is_error)


def test_an_answer_below_500_to_any_error_has_handled_it(scout, ask):
    with pytest.raises(OutOfStock):
        ask(shop({Exception: answer(200)}), "GET", "/out")

    assert ([("OutOfStock", True)], False) == (recorded(scout), scout.transaction.is_error)


def test_a_handler_that_raises_another_error_fails_with_that_one(scout, ask):
    async def handler(request, error):
        raise ValueError("broken handler") from error

    with pytest.raises(ValueError, match="broken handler"):
        ask(shop({OutOfStock: handler}), "GET", "/out")

    assert ("ValueError", False) == recorded(scout)[0]


@pytest.mark.parametrize("status", [400, 401, 404, 418, 429])
def test_an_http_exception_below_500_is_an_answer(scout, ask, status):
    assert status == ask(shop(), "GET", f"/abort/{status}").status
    assert ([], False) == (recorded(scout), scout.transaction.is_error)


@pytest.mark.parametrize("handlers", [{}, {503: answer(503)}, {HTTPException: answer(503)}])
def test_an_http_exception_of_500_or_more_is_an_error(scout, ask, handlers):
    assert 503 == ask(shop(handlers), "GET", "/abort/503").status
    assert ([("HTTPException", True)], True) == (recorded(scout), scout.transaction.is_error)


def test_an_error_before_routing_is_recorded_without_a_name(scout, ask):
    class Broken:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            raise OutOfStock

    with pytest.raises(OutOfStock):
        ask(shop(middleware=[Middleware(Broken)]), "GET", "/out")

    assert ("Controller/unnamed", [("OutOfStock", False)]) == (scout.transaction.operation, recorded(scout))


def test_an_error_in_a_stream_is_one_of_the_request(scout, ask):
    async def rows():
        yield "1"
        raise OutOfStock

    app = Starlette(routes=[Route("/", lambda request: StreamingResponse(rows()))])
    with pytest.raises(BaseException):  # noqa: B017, PT011  # an exception group in some versions
        ask(app, "GET", "/")

    assert scout.transaction.is_error


def test_a_client_that_leaves_before_it_has_sent_its_body_is_not_an_error(scout):
    async def upload(request):
        await request.body()

    async def leave():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        scope = {
            "type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], "root_path": "",
            "client": None, "server": None, "scheme": "http",
        }  # fmt: skip
        await Starlette(routes=[Route("/", upload, methods=["POST"])])(scope, receive, send)

    with pytest.raises(ClientDisconnect):
        asyncio.run(leave())

    assert ([], False) == (recorded(scout), scout.transaction.is_error)


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_client_that_leaves_a_stream_aborts_it(scout, spec_version):
    """Before 2.4 the message ``http.disconnect`` reports it, later an ``OSError``."""

    async def leave():
        has_left = asyncio.Event()

        async def rows():
            while True:
                yield "row"

        async def feed(request):
            return StreamingResponse(rows())

        async def receive():
            await has_left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            await asyncio.sleep(0)
            if message["type"] == "http.response.body":
                has_left.set()
                if spec_version == "2.4":
                    raise OSError("the client has disconnected")

        scope = {
            "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "root_path": "",
            "client": None, "server": None, "scheme": "http", "asgi": {"spec_version": spec_version},
        }  # fmt: skip
        with suppress(Exception):  # of several classes, in the versions that know 2.4
            await Starlette(routes=[Route("/", feed)])(scope, receive, send)

    asyncio.run(leave())

    assert (True, [], False) == (scout.transaction.tags[ABORTED], recorded(scout), scout.transaction.is_error)


@pytest.mark.parametrize("middleware", [[], [Middleware(Around)]], ids=["plain", "base"])
def test_an_error_in_the_middle_of_a_stream_is_one_of_its_endpoint(scout, ask, middleware):
    """``BaseHTTPMiddleware`` sends the last message, and raises only then. Old versions raise the group of their tasks, a second error."""

    async def export(request):
        async def rows():
            yield b"1"
            raise OutOfStock("tea")

        return StreamingResponse(rows())

    with suppress(Exception):
        ask(Starlette(routes=[Route("/", export)], middleware=middleware), "GET", "/")

    first, *groups = recorded(scout)
    assert (("OutOfStock", False), True) == (first, scout.transaction.is_error)
    assert {("ExceptionGroup", False)} >= set(groups)
    assert not [frame for frame in scout.transaction.errors[0].frames if "scout_" in frame[0]]
