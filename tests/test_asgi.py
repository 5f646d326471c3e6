"""``AsgiMiddleware``: each HTTP request of an ASGI application is a transaction, until its last message."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from scout_core import span
from scout_core.instruments.asgi import ABORTED, UNNAMED, AsgiMiddleware
from tests.servers import servers

BIN = Path(sys.executable).parent
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHOP = """
import asyncio
from scout_core import span
from scout_core.instruments.asgi import AsgiMiddleware

async def shop(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    with span("SQL/Query"):
        await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in (b"to", b"ma"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"to"})

app = AsgiMiddleware(shop, name="Controller/shop.home")
"""


def start(status=200, **more):
    return {"type": "http.response.start", "status": status, "headers": [], **more}


def body(text=b"", *, more=False):
    return {"type": "http.response.body", "body": text, "more_body": more}


def http(path="/", method="GET", headers=()):
    return {
        "type": "http", "method": method, "path": path, "query_string": b"", "headers": [*headers],
        "client": ("192.0.2.7", 1),
    }  # fmt: skip


async def ask(app, scope, sent=None):
    sent = [] if sent is None else sent

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def home(scope, receive, send):
    with span("SQL/Query", path=scope["path"]):
        await asyncio.sleep(0)
    await send(start())
    await send(body(b"home"))


def test_a_request_is_a_transaction_with_its_facts_and_the_messages_are_the_same_objects(scout):
    messages = [start(), body(b"a", more=True), body(b"b")]

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    headers = [(b"traceparent", CALLER.encode()), (b"x-forwarded-for", b"198.51.100.1")]
    sent = asyncio.run(ask(AsgiMiddleware(app), http("/cart", headers=headers)))

    assert all(actual is expected for actual, expected in zip(sent, messages, strict=True))
    assert scout.transaction.operation == UNNAMED
    assert (scout.transaction.tags["path"], scout.transaction.tags["user_ip"]) == ("/cart", "198.51.100.1")
    assert not scout.transaction.is_error
    assert scout.report().traces[0].trace_id == CALLER[3:35]


def test_fifty_requests_at_once_have_their_own_spans(scout):
    async def ask_all():
        app = AsgiMiddleware(home, name=lambda scope: f"Controller/{scope['path'][1:]}")
        await asyncio.gather(*(ask(app, http(f"/shop{number}")) for number in range(50)))

    asyncio.run(ask_all())

    assert len(scout.transactions) == 50
    for request in scout.transactions:
        assert [(found.operation, found.tags["path"]) for found in request.spans] == [
            ("SQL/Query", request.tags["path"])
        ]


def test_work_after_the_last_message_is_not_a_part_of_the_request(scout):
    async def app(scope, receive, send):
        await home(scope, receive, send)
        with span("Mail/Send"):
            raise LookupError("after the response")

    with pytest.raises(LookupError):
        asyncio.run(ask(AsgiMiddleware(app), http()))

    assert [found.operation for found in scout.transaction.spans] == ["SQL/Query"]
    assert not scout.transaction.is_error


def test_an_exception_passes_untouched_and_is_recorded(scout):
    raised = LookupError("no such article")

    async def app(scope, receive, send):
        raise raised

    with pytest.raises(LookupError) as caught:
        asyncio.run(ask(AsgiMiddleware(app), http()))

    assert caught.value is raised
    assert scout.transaction.error == "LookupError"


@pytest.mark.parametrize(("status", "is_error"), [(404, False), (500, True), (503, True)])
def test_a_status_of_500_or_more_is_an_error(scout, status, is_error):
    async def app(scope, receive, send):
        await send(start(status))
        await send(body())

    asyncio.run(ask(AsgiMiddleware(app), http(method="HEAD")))

    assert scout.transaction.is_error is is_error


def test_a_response_with_trailers_ends_with_them(scout):
    async def app(scope, receive, send):
        await send(start(trailers=True))
        await send(body())
        with span("Trailers/Make"):
            pass
        await send({"type": "http.response.trailers", "headers": []})

    asyncio.run(ask(AsgiMiddleware(app), http()))

    assert [found.operation for found in scout.transaction.spans] == ["Trailers/Make"]


def test_a_cancelled_request_is_aborted_and_not_an_error(scout):
    async def cancel():
        is_open = asyncio.Event()

        async def app(scope, receive, send):
            await send(start())
            is_open.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(ask(AsgiMiddleware(app), http()))
        await is_open.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())

    assert scout.transaction.tags[ABORTED] is True
    assert not scout.transaction.is_error


def test_a_client_that_disconnects_is_not_an_error(scout):
    async def send(message):
        raise OSError("the client has disconnected")

    with pytest.raises(OSError, match="disconnected"):
        asyncio.run(AsgiMiddleware(home)(http(), None, send))

    assert scout.transaction.tags[ABORTED] is True
    assert not scout.transaction.is_error


def test_web_sockets_pass_with_the_same_objects(scout):
    async def app(*given):
        return given

    scope, receive, send = {"type": "websocket"}, object(), object()
    passed = asyncio.run(AsgiMiddleware(app)(scope, receive, send))

    assert all(actual is expected for actual, expected in zip(passed, (scope, receive, send), strict=True))
    assert scout.transactions == []


def test_a_name_that_cannot_be_found_does_not_interrupt_the_request(scout):
    sent = asyncio.run(ask(AsgiMiddleware(home, name=lambda scope: scope["route"]), http()))

    assert sent[-1]["body"] == b"home"
    assert scout.transaction.operation == UNNAMED


@pytest.mark.parametrize("name", [5, b"shop", str, lambda: None, object()], ids=lambda value: type(value).__name__)
def test_a_function_that_returns_no_text_does_not_interrupt_the_request(scout, name):
    sent = asyncio.run(ask(AsgiMiddleware(home, name=lambda scope: name), http()))

    assert sent[-1]["body"] == b"home"
    assert scout.transaction.operation == f"<{type(name).__name__}>"


@pytest.mark.scout(ignore=["/health"])
def test_an_ignored_path_is_not_recorded(scout):
    asyncio.run(ask(AsgiMiddleware(home), http("/health")))

    assert scout.transactions == []
    assert len(scout.ignored) == 1


def test_uvicorn_serves_it_and_every_request_arrives(tmp_path):
    with servers(tmp_path) as serving:
        serving.write("shop.py", SHOP)
        server = serving.start(BIN / "uvicorn", "--port", "0", "shop:app")
        answers = server.ask_all(50)
        server.end(signal.SIGTERM)

        assert answers == {"tomato": 50}
        assert serving.counted == 50
