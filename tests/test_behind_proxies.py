"""Middleware that reads the headers of proxies may be outside or inside of ours: there is one request, with the client's address."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.instruments.wsgi import WsgiMiddleware

CLIENT, PROXY = "198.51.100.7", "127.0.0.1"


def fixed(app):
    return ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_prefix=1)


@Request.application
def shop(request):
    return Response(f"{request.remote_addr} {request.url}")


def wsgi(app):
    return WsgiMiddleware(app, name="Controller/shop")


@pytest.mark.parametrize(
    ("around", "path"),
    [(lambda app: wsgi(fixed(app)), "/cart"), (lambda app: fixed(wsgi(app)), "/shop/cart")],
    ids=["ours outside", "ours inside"],
)
def test_proxy_fix(scout, around, path):
    headers = {
        "X-Forwarded-For": CLIENT,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Prefix": "/shop",
    }
    with Client(around(shop)).get("/cart", headers=headers) as response:  # its end closes the body, as servers do
        assert f"{CLIENT} https://shop.example/shop/cart" == response.text

    assert (CLIENT, path) == (scout.transaction.tags["user_ip"], scout.transaction.tags["path"])
    assert [scout.transaction.operation] == scout.operations


@pytest.mark.parametrize(
    "around",
    [lambda app: wsgi(fixed(app)), lambda app: fixed(wsgi(app))],
    ids=["ours outside", "ours inside"],
)
def test_without_the_header_the_address_is_that_of_the_connection(scout, around):
    with Client(around(shop)).get("/cart", environ_overrides={"REMOTE_ADDR": PROXY}) as response:
        assert f"{PROXY} http://localhost/cart" == response.text

    assert PROXY == scout.transaction.tags["user_ip"]


@pytest.mark.parametrize(
    "around",
    [
        lambda app: AsgiMiddleware(ProxyHeadersMiddleware(app), name="Controller/shop"),
        lambda app: ProxyHeadersMiddleware(AsgiMiddleware(app, name="Controller/shop")),
    ],
    ids=["ours outside", "ours inside"],
)
def test_proxy_headers_of_uvicorn(scout, around):
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"shop"})

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message["type"])

    headers = [(b"x-forwarded-for", CLIENT.encode()), (b"x-forwarded-proto", b"https")]
    scope = {
        "type": "http", "method": "GET", "path": "/cart", "query_string": b"", "scheme": "http", "headers": headers,
        "client": (PROXY, 4000), "server": (PROXY, 80),
    }  # fmt: skip
    asyncio.run(around(app)(scope, receive, send))

    assert [(CLIENT, "https")] == seen
    assert 2 == len(sent)
    assert (CLIENT, "/cart") == (scout.transaction.tags["user_ip"], scout.transaction.tags["path"])
