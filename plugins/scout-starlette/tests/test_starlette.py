"""Requests, routes and names on Starlette itself."""

from __future__ import annotations

import asyncio
import functools

import pytest
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from scout_core import current_transaction, span, transaction
from scout_core.instruments.asgi import AsgiMiddleware

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def home(request):
    with span("SQL/Query"):
        await asyncio.sleep(0)
    return PlainTextResponse("home")


def page(request):
    with span("SQL/Query"):
        pass
    return PlainTextResponse(f"page {current_transaction().operation}")


class Cart(HTTPEndpoint):
    async def get(self, request):
        return PlainTextResponse("cart")


def logged(endpoint):
    @functools.wraps(endpoint)
    async def wrapper(request):
        return await endpoint(request)

    return wrapper


def unlabelled(endpoint):
    async def wrapper(request):
        return await endpoint(request)

    return wrapper


class Shop:
    async def list(self, request):
        return PlainTextResponse("list")

    async def __call__(self, scope, receive, send):
        await PlainTextResponse("raw")(scope, receive, send)


class Pass:
    """A middleware that hands a copy of the scope on."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(dict(scope), receive, send)


class Around(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        with span("Auth/Check"):
            pass
        return await call_next(request)


@pytest.fixture
def app(tmp_path):
    (tmp_path / "style.css").write_text("p {}")
    return Starlette(
        routes=[
            Route("/", home),
            Route("/page/{number:int}", page),
            Route("/cart", Cart),
            Route("/logged", logged(home)),
            Route("/unlabelled", unlabelled(home)),
            Route("/lambda", lambda request: PlainTextResponse("lambda")),
            Route("/partial", functools.partial(home)),
            Route("/method", Shop().list),
            Route("/folder/", home),
            Mount("/raw", Shop()),
            Mount("/static", StaticFiles(directory=tmp_path)),
            Mount(
                "/tenant/{tenant}",
                routes=[Route("/items/{item}", home), Mount("/deep/{level}", Router([Route("/end", page)]))],
            ),
            Mount("/inner/{shop}", Starlette(routes=[Route("/cart/{item}", home)])),
            Host("api.test", Router([Route("/of-host", page)])),
        ]
    )


@pytest.mark.parametrize(
    ("path", "operation", "route"),
    [
        ("/", "home", "/"),
        ("/page/7", "page", "/page/{number:int}"),
        ("/cart", "Cart", "/cart"),
        ("/logged", "home", "/logged"),
        ("/unlabelled", "unlabelled.<locals>.wrapper /unlabelled", "/unlabelled"),
        ("/lambda", "app.<locals>.<lambda> /lambda", "/lambda"),
        ("/partial", "home /partial", "/partial"),
        ("/method", "Shop.list /method", "/method"),
        ("/raw/any/7", "Shop /raw", "/raw/any/7"),
        ("/tenant/acme/items/7", "home", "/tenant/{tenant}/items/{item}"),
        ("/tenant/acme/deep/9/end", "page", "/tenant/{tenant}/deep/{level}/end"),
        ("/inner/acme/cart/7", "home", "/inner/{shop}/cart/{item}"),
    ],
)
def test_a_request_is_named_after_its_endpoint_and_has_the_template_of_its_path(
    scout, app, ask, path, operation, route
):
    assert 200 == ask(app, "GET", path).status
    assert (f"Controller/{__name__}.{operation}", route) == (
        scout.transaction.operation,
        scout.transaction.tags.get("route", path),
    )
    assert (path, "{" in route) == (scout.transaction.tags["path"], "route" in scout.transaction.tags)


def test_files_and_hosts(scout, app, ask):
    assert b"p {}" == ask(app, "GET", "/static/style.css").body
    assert 200 == ask(app, "GET", "/of-host", {"host": "api.test"}).status

    assert ["Controller/starlette.staticfiles.StaticFiles /static", f"Controller/{__name__}.page"] == [
        seen.operation for seen in scout.transactions
    ]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
        ("GET", "/cart/", 307),
        ("GET", "/folder", 307),
        ("GET", "/tenant/acme/nothing", 404),
        ("GET", "/inner/acme/nothing", 404),
        ("POST", "/tenant/acme/items/7", 405),
    ],
)
def test_a_request_that_no_endpoint_answers_is_not_recorded(scout, app, ask, method, path, status):
    assert status == ask(app, method, path).status
    assert ([], ["no route"]) == (scout.transactions, [reason for _, reason in scout.ignored])


def test_a_head_request_and_one_that_its_endpoint_refuses_are_recorded(scout, app, ask):
    assert [200, 405] == [ask(app, method, path).status for method, path in [("HEAD", "/"), ("POST", "/cart")]]
    assert [f"Controller/{__name__}.home", f"Controller/{__name__}.Cart"] == [
        seen.operation for seen in scout.transactions
    ]


def test_facts_and_the_trace_of_the_caller(scout, app, ask):
    ask(app, "GET", "/?q=tea", {"traceparent": CALLER, "X-Forwarded-For": "198.51.100.1"})

    assert ("/?q=tea", "198.51.100.1") == (scout.transaction.tags["path"], scout.transaction.tags["user_ip"])
    assert (CALLER[3:35], CALLER[36:52]) == (scout.transaction.trace_id, scout.transaction.parent_span_id)


@pytest.mark.parametrize("path", ["/", "/page/7"])
def test_spans_inside_an_endpoint_belong_to_the_request_also_in_a_thread(scout, app, ask, path):
    ask(app, "GET", path)

    assert [("SQL/Query", scout.transaction.operation)] == [
        (seen.operation, seen.parent) for seen in scout.transaction.spans
    ]


@pytest.mark.parametrize(
    "outside", [[Middleware(Around)], [Middleware(Around), Middleware(Around)], [Middleware(Pass)]]
)
def test_middleware_changes_neither_name_nor_parents(scout, ask, outside):
    inner = Starlette(routes=[Route("/items/{item}", page)], middleware=[Middleware(Around)])
    app = Starlette(routes=[Mount("/shop/{shop}", inner)], middleware=outside)

    answer = ask(app, "GET", "/shop/acme/items/7")

    assert f"page Controller/{__name__}.page".encode() == answer.body
    assert (f"Controller/{__name__}.page", "/shop/{shop}/items/{item}") == (
        scout.transaction.operation,
        scout.transaction.tags["route"],
    )
    assert {scout.transaction.operation} == {seen.parent for seen in scout.transaction.spans}
    checks = 1 + sum(middleware.cls is Around for middleware in outside)
    assert ["Auth/Check"] * checks + ["SQL/Query"] == [seen.operation for seen in scout.transaction.spans]


def test_fifty_requests_at_once_have_their_own_spans(scout, app, request_once):
    async def ask_all():
        paths = ["/page/7" if number % 2 else "/tenant/acme/items/7" for number in range(50)]
        await asyncio.gather(*(request_once(app, "GET", path) for path in paths))

    asyncio.run(ask_all())

    assert [["SQL/Query"]] * 50 == [[inner.operation for inner in seen.spans] for seen in scout.transactions]
    assert [25, 25] == [
        sum(seen.operation.endswith(name) for seen in scout.transactions) for name in (".page", ".home")
    ]


def test_a_stream_belongs_to_the_request(scout, ask):
    async def rows():
        for number in range(3):
            with span("SQL/Fetch", number=number):
                await asyncio.sleep(0)
            yield f"{number}\n"

    async def feed(request):
        return StreamingResponse(rows(), media_type="text/event-stream")

    assert b"0\n1\n2\n" == ask(Starlette(routes=[Route("/feed", feed)]), "GET", "/feed").body
    assert [0, 1, 2] == [seen.tags["number"] for seen in scout.transaction.spans]
    assert "aborted" not in scout.transaction.tags


@pytest.mark.scout(ignore=["/health"])
def test_nothing_of_an_ignored_request_is_recorded(scout, ask):
    app = Starlette(routes=[Route("/health", page, methods=["POST"]), Route("/health/deep", home)])

    assert [405, 200] == [ask(app, "GET", path).status for path in ("/health", "/health/deep")]
    assert ([], ["by path", "by path"]) == (scout.transactions, [reason for _, reason in scout.ignored])


def test_a_middleware_around_the_application_does_not_record_it_twice(scout, app, ask):
    ask(AsgiMiddleware(AsgiMiddleware(app)), "GET", "/")
    ask(AsgiMiddleware(app, name="Controller/by_hand"), "GET", "/")

    assert [f"Controller/{__name__}.home"] * 2 == [seen.operation for seen in scout.transactions]
    assert [1, 1] == [len(seen.spans) for seen in scout.transactions]


def test_an_application_that_is_called_within_a_request_or_a_job_is_a_span(scout, app, request_once):
    async def batch(request):
        answers = [await request_once(app, "GET", path) for path in ("/", "/nothing")]
        return PlainTextResponse(f"{[answer.status for answer in answers]}")

    outer = Starlette(routes=[Route("/batch", batch)])
    assert b"[200, 404]" == asyncio.run(request_once(outer, "GET", "/batch")).body

    async def job():
        with transaction("Job/warm"):
            await request_once(app, "GET", "/")

    asyncio.run(job())

    web, warmed = scout.transactions
    name = f"Controller/{__name__}.home"
    assert "batch" in web.operation
    assert ["SQL/Query", name, "Controller/unnamed"] == [seen.operation for seen in web.spans]
    assert ["SQL/Query", name] == [seen.operation for seen in warmed.spans]
    assert [] == scout.ignored
