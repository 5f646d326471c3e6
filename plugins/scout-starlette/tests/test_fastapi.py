"""FastAPI, before and since 0.137, which keeps the routers of an application instead of copying their routes."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from starlette.routing import Mount, Route

from scout_core import span


class OutOfStock(Exception):
    """An error of the application."""


async def items(tenant: str, item: int):
    with span("SQL/Query"):
        await asyncio.sleep(0)
    return {"item": item}


def cart():
    with span("SQL/Query"):
        pass
    return "cart"


def broken():
    raise OutOfStock


def forbidden():
    raise HTTPException(403)


def remember(what):
    with span("Mail/Send"):
        pass


def order(tasks: BackgroundTasks):
    tasks.add_task(remember, "order")
    return "thanks"


def session():
    with span("Session/Open"):
        pass
    yield "session"
    with span("Session/Commit"):
        pass


def stored(session: str = Depends(session)):
    return session


async def plain(request):
    return JSONResponse("plain")


@pytest.fixture
def app():
    app = FastAPI()
    inner, outer = APIRouter(prefix="/mid/{tenant}"), APIRouter(prefix="/pre")
    inner.add_api_route("/it/{item}", items)
    inner.routes.append(Route("/plain/{number}", plain))
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    app.add_api_route("/cart", cart)
    app.add_api_route("/broken", broken)
    app.add_api_route("/forbidden", forbidden)
    app.add_api_route("/order", order, methods=["POST"])
    app.add_api_route("/stored", stored)
    sub = FastAPI()
    sub.add_api_route("/{tenant}/{item}", items)
    app.mount("/sub/{region}", sub)
    app.router.routes.append(Mount("/routes", routes=[Route("/plain/{number}", plain)]))

    @app.exception_handler(OutOfStock)
    async def sold_out(request, error):
        return JSONResponse("sold out", status_code=410)

    return app


@pytest.mark.parametrize(
    ("path", "operation", "route"),
    [
        ("/v1/pre/mid/acme/it/7", "items", "/v1/pre/mid/{tenant}/it/{item}"),
        ("/cart", "cart", "/cart"),
        ("/sub/north/acme/7", "items", "/sub/{region}/{tenant}/{item}"),
        ("/routes/plain/7", "plain", "/routes/plain/{number}"),
    ],
)
def test_a_request_is_named_after_its_endpoint_and_has_the_whole_template(scout, app, ask, path, operation, route):
    assert 200 == ask(app, "GET", path).status
    assert (f"Controller/{__name__}.{operation}", route) == (
        scout.transaction.operation,
        scout.transaction.tags.get("route", path),
    )
    assert {scout.transaction.operation} >= {seen.parent for seen in scout.transaction.spans}


def test_a_route_of_starlette_in_a_router(scout, app, ask):
    """Its path has the prefixes of the routers since FastAPI 0.137."""
    template = "/v1/pre/plain/{number}"
    if ask(app, "GET", "/v1/pre/plain/7").status == 404:
        scout.forget()
        template = "/v1/plain/{number}"
        assert 200 == ask(app, "GET", "/v1/plain/7").status

    assert (f"Controller/{__name__}.plain", template) == (scout.transaction.operation, scout.transaction.tags["route"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404), ("POST", "/cart", 405), ("GET", "/cart/", 307), ("GET", "/v1/pre/nothing", 404),
        ("POST", "/v1/pre/mid/acme/it/7", 405),
    ],
)  # fmt: skip
def test_a_request_that_no_endpoint_answers_is_not_recorded(scout, app, ask, method, path, status):
    assert status == ask(app, method, path).status
    assert ([], ["no route"]) == (scout.transactions, [reason for _, reason in scout.ignored])


@pytest.mark.parametrize(
    ("path", "status", "errors"),
    [
        ("/v1/pre/mid/acme/it/seven", 422, []),
        ("/forbidden", 403, []),
        ("/broken", 410, [("OutOfStock", True)]),
    ],
)
def test_refusals_are_not_errors_and_handled_errors_are_recorded(scout, app, ask, path, status, errors):
    assert status == ask(app, "GET", path).status
    assert not scout.transaction.is_error
    assert errors == [(seen.exception.rpartition(".")[2], seen.handled) for seen in scout.transaction.errors]


def test_a_background_task_is_a_linked_job(scout, app, ask):
    assert 200 == ask(app, "POST", "/order").status

    web, job = scout.transactions
    assert (f"Job/{__name__}.remember", web.span_id) == (job.operation, job.started_by)
    assert ([], ["Mail/Send"]) == ([*web.spans], [seen.operation for seen in job.spans])


def test_no_span_of_a_dependency_is_lost(scout, app, ask):
    """Some versions run what comes after its ``yield`` before the response is sent, others after it."""
    assert 200 == ask(app, "GET", "/stored").status

    seen = [inner.operation for transaction in scout.transactions for inner in transaction.spans]
    assert ["Session/Open", "Session/Commit"] == seen
    assert {scout.transactions[0].span_id} >= {after.started_by for after in scout.transactions[1:]}
