"""``AsgiMiddleware``: each HTTP request of an ASGI application is a transaction, until its last message."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.instruments.asgi import ABORTED, NO_RESPONSE, UNNAMED, AsgiMiddleware, current_request, record_request
from scout_core.recording.transaction import Transaction
from scout_core.testing import recording
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


begin_span = span


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


def test_a_scope_without_headers_has_the_other_facts(scout):
    """As an application makes it that calls another by hand."""

    async def app(scope, receive, send):
        await send(start())
        await send(body())

    scope = {"type": "http", "method": "GET", "path": "/cart"}
    asyncio.run(ask(AsgiMiddleware(app), scope))

    assert "/cart" == scout.transaction.tags["path"]
    assert 0 == scout.agent.counters().invalid_values
    assert "headers" not in scope


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


def test_a_job_of_ones_own_after_the_response_does_not_lose_what_follows_it(scout):
    requests = []

    async def app(scope, receive, send):
        await home(scope, receive, send)
        for number in range(2):
            with transaction(f"Job/mail.{number}"), begin_span("Mail/Send"):
                pass
            requests.append(current_request())
        with begin_span("SQL/Cleanup"):
            pass

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))
    spans = {seen.operation: [found.operation for found in seen.spans] for seen in scout.transactions}

    assert None not in requests
    assert {
        "Controller/shop": ["SQL/Query"],
        "Job/mail.0": ["Mail/Send"],
        "Job/mail.1": ["Mail/Send"],
        "Job/shop.after_response": ["SQL/Cleanup"],
    } == spans


def test_jobs_after_the_response_that_end_elsewhere_keep_nothing(scout):
    def transactions():
        gc.collect()
        return sum(type(seen) is Transaction for seen in gc.get_objects())

    known, found = transactions(), []

    async def app(scope, receive, send):
        await home(scope, receive, send)
        for _ in range(100):
            job = transaction("Job/tick").begin()
            await asyncio.to_thread(job.end)
            assert current_request() is not None
        job = None
        scout.report()
        scout.forget()
        found.append(transactions())
        with begin_span("SQL/After"):
            pass

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    assert found[0] < known + 10
    assert "Job/shop.after_response" in [seen.operation for seen in scout.transactions]


def test_spans_of_an_ignored_job_after_the_response_are_not_recorded(scout):
    async def app(scope, receive, send):
        await home(scope, receive, send)
        with transaction("Job/heartbeat") as job:
            job.ignore("as often as the pulse")
            with begin_span("SQL/Heartbeat"), transaction("Job/inner"):
                pass
        with current_request().job("Job/other") as other:
            other.ignore("too")
            with begin_span("SQL/Heartbeat"):
                pass

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    assert ["Controller/shop"] == [seen.operation for seen in scout.transactions]


def test_the_exception_that_a_wrapped_error_page_answers_is_recorded(scout):
    async def page(scope, receive, send):
        await send(start(500))
        await send(body(b"text"))

    error_page = AsgiMiddleware(page, name="Controller/error_page")

    async def app(scope, receive, send):
        try:
            raise LookupError("of the application")
        except LookupError:
            await error_page(scope, receive, send)

    asyncio.run(ask(app, http()))

    assert ["LookupError"] == [error.exception for error in scout.transaction.errors]


def test_an_exception_that_is_handled_outside_of_the_loop_is_of_no_request(scout):
    async def app(scope, receive, send):
        await send(start(int(scope["path"][1:])))
        await send(body(b"text"))
        with begin_span("SQL/After"):
            pass

    async def answering(scope, receive, send):
        try:
            raise LookupError("of the application")
        except LookupError:
            await send(start(503))
            await send(body(b"text"))

    async def serve():
        for path in ("/200", "/503"):
            await ask(AsgiMiddleware(app, name=f"Controller{path}"), http(path))
        await ask(AsgiMiddleware(answering, name="Controller/answered"), http())

    try:
        raise ImportError("no faster loop")
    except ImportError:
        asyncio.run(serve())
    errors = {seen.operation: [error.exception for error in seen.errors] for seen in scout.transactions}

    assert {
        **{key: [] for key in ("Controller/200", "Controller/503", "Job/200.after_response", "Job/503.after_response")},
        "Controller/answered": ["LookupError"],
    } == errors


class Awaitable:
    """Awaits a coroutine by methods of its own."""

    def __init__(self, coroutine):
        self.coroutine = coroutine

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.coroutine.send(None)


async def unavailable(send):
    await send(start(503))
    await send(body(b"text"))


async def without_traceback(send):
    try:
        raise LookupError("of the application")
    except LookupError as error:
        error.__traceback__ = None
        await unavailable(send)


async def in_own_awaitable(send):
    try:
        raise LookupError("of the application")
    except LookupError:
        await Awaitable(unavailable(send))


@pytest.mark.parametrize("answer", [without_traceback, in_own_awaitable])
def test_the_exception_that_an_error_page_answers_is_recorded_however_it_is_handled(scout, answer):
    async def app(scope, receive, send):
        await answer(send)

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    assert ["LookupError"] == [error.exception for error in scout.transaction.errors]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="not on Python 3.10")
def test_the_group_that_an_error_page_answers_is_recorded(scout):
    names = {"unavailable": unavailable}
    exec(
        "async def app(scope, receive, send):\n"
        "    try:\n        raise LookupError\n    except* LookupError:\n        await unavailable(send)\n",
        names,
    )

    asyncio.run(ask(AsgiMiddleware(names["app"], name="Controller/shop"), http()))

    assert ["ExceptionGroup"] == [error.exception for error in scout.transaction.errors]


def test_a_detached_job_stays_open_when_the_last_message_is_sent_in_it(scout):
    async def app(scope, receive, send):
        with transaction("Job/export").detach() as job:
            await home(scope, receive, send)
            assert job is current_transaction()
            with begin_span("Export/Write"):
                pass
        assert current_request() is not None
        with begin_span("SQL/After"):
            pass

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    assert {
        "Controller/shop": [],
        "Job/export": ["SQL/Query", "Export/Write"],
        "Job/shop.after_response": ["SQL/After"],
    } == {seen.operation: [found.operation for found in seen.spans] for seen in scout.transactions}


@pytest.mark.parametrize("is_detached", [False, True])
def test_a_transaction_after_an_error_page_is_one_of_its_own_and_begins_after_the_request(scout, is_detached):
    async def app(scope, receive, send):
        await unavailable(send)
        job = transaction("Job/clean")
        with job.detach() if is_detached else job, begin_span("Files/Remove"):
            assert "Controller/shop" == scout.transaction.operation
        with begin_span("SQL/After"):
            pass

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    assert {
        "Controller/shop": [],
        "Job/clean": ["Files/Remove"],
        "Job/shop.after_response": ["SQL/After"],
    } == {seen.operation: [found.operation for found in seen.spans] for seen in scout.transactions}


@pytest.mark.parametrize(("is_known", "status"), [(False, 200), (True, 200), (True, 500)])
def test_a_response_that_is_ended_after_the_client_has_left_is_aborted(scout, is_known, status):
    async def app(scope, receive, send):
        await send(start(status))
        if is_known:
            await receive()
        await send(body())
        await receive()

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    assert (is_known and status == 200, status == 500) == (
        ABORTED in scout.transaction.tags,
        scout.transaction.is_error,
    )


def test_work_after_the_last_message_is_not_a_part_of_the_request(scout):
    async def app(scope, receive, send):
        await home(scope, receive, send)
        with span("Mail/Send"):
            raise LookupError("after the response")

    with pytest.raises(LookupError):
        asyncio.run(ask(AsgiMiddleware(app), http()))

    web, after = scout.transactions
    assert ([found.operation for found in web.spans], web.is_error) == (["SQL/Query"], False)
    assert ([found.operation for found in after.spans], after.error) == (["Mail/Send"], "LookupError")
    assert (after.operation, after.started_by) == ("Job/unnamed.after_response", web.span_id)


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
    assert scout.transaction.operation == f"Controller/<{type(name).__name__}>"


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


def test_the_application_gets_the_same_scope_and_the_same_messages(scout):
    given, message = [], {"type": "http.request", "body": b""}

    async def app(scope, receive, send):
        given.extend((scope, await receive(), dict(scope)))
        await send(start())
        await send(body())

    async def send(message):
        pass

    async def receive():
        return message

    scope = http()
    before = dict(scope)
    asyncio.run(AsgiMiddleware(AsgiMiddleware(app))(scope, receive, send))

    assert given[0] is scope
    assert given[1] is message
    assert given[2] == before == scope
    assert len(scout.transactions) == 1


@pytest.mark.parametrize("names", [("Controller/outer", UNNAMED), (UNNAMED, "Controller/inner")])
def test_two_middlewares_record_one_request_with_the_name_that_one_of_them_has(scout, names):
    class Copying:
        async def __call__(self, scope, receive, send):
            await inner({**scope, "state": {}}, receive, send)

    inner = AsgiMiddleware(home, name=names[1])
    asyncio.run(ask(AsgiMiddleware(Copying(), name=names[0]), http()))

    assert scout.transaction.operation in set(names) - {UNNAMED}
    assert [found.operation for found in scout.transaction.spans] == ["SQL/Query"]


class Unreadable(list):
    def __iter__(self):
        raise AssertionError("the headers were read")


@pytest.mark.scout(ignore=["/health"])
def test_the_headers_of_an_ignored_path_are_not_read(scout):
    sent = asyncio.run(ask(AsgiMiddleware(home), {**http("/health"), "headers": Unreadable()}))

    assert sent[-1]["body"] == b"home"
    assert scout.transactions == []


def test_headers_that_cannot_be_read_do_not_interrupt_the_request(scout):
    sent = asyncio.run(ask(AsgiMiddleware(home), {**http(), "headers": Unreadable()}))

    assert sent[-1]["body"] == b"home"
    assert scout.transaction.operation == UNNAMED


@pytest.mark.parametrize(
    "last",
    [
        {"type": "http.response.pathsend", "path": "/shop.pdf"},
        {"type": "http.response.zerocopysend", "file": 5},
        body(b"last"),
    ],
    ids=lambda message: message["type"],
)
def test_work_after_the_last_message_is_a_linked_job(scout, last):
    async def app(scope, receive, send):
        await send(start())
        await send(last)
        with span("Mail/Send"):
            pass
        with span("Mail/Log"):
            pass

    asyncio.run(ask(AsgiMiddleware(app, name="Controller/shop"), http()))

    web, after = scout.transactions
    assert (web.spans, "aborted" in web.tags) == ((), False)
    assert (after.operation, after.started_by, after.trace_id) == (
        "Job/shop.after_response",
        web.span_id,
        web.trace_id,
    )
    assert [found.operation for found in after.spans] == ["Mail/Send", "Mail/Log"]


def test_work_after_the_last_message_without_spans_and_errors_is_no_job(scout):
    async def app(scope, receive, send):
        await home(scope, receive, send)
        await asyncio.sleep(0)

    asyncio.run(ask(AsgiMiddleware(app), http()))

    assert len(scout.transactions) == 1


@pytest.mark.parametrize("sent", [[start()], [start(), body(b"part", more=True)]], ids=len)
def test_a_response_that_is_not_sent_to_its_end_is_aborted(scout, sent):
    async def app(scope, receive, send):
        for message in sent:
            await send(message)

    asyncio.run(ask(AsgiMiddleware(app), http()))

    assert (scout.transaction.tags[ABORTED], scout.transaction.is_error) == (True, False)


@pytest.mark.parametrize("has_left", [False, True])
@pytest.mark.parametrize("sent", [[], [{"type": "http.response.early_hint", "links": []}]], ids=len)
def test_an_application_that_returns_without_a_response_has_failed_unless_the_client_has_left(scout, has_left, sent):
    async def app(scope, receive, send):
        for message in sent:
            await send(message)
        if has_left:
            await receive()  # of a client that waits for news, and leaves

    asyncio.run(ask(AsgiMiddleware(app), http()))

    flags = scout.transaction.tags.get(NO_RESPONSE, False), scout.transaction.tags.get(ABORTED, False)
    assert ((not has_left, has_left), not has_left) == (flags, scout.transaction.is_error)


class Status(str):
    """A text of the application's own class."""

    def __getitem__(self, key):
        raise RuntimeError("getitem")


class Hostile(dict):
    """A message whose methods raise."""

    def __getitem__(self, key):
        raise RuntimeError("getitem")


@pytest.mark.parametrize(
    ("message", "is_error", "invalid"),
    [
        (start("200"), False, 0),
        (start("503"), True, 0),
        (start(b"500"), True, 0),
        (start(Status("500")), True, 0),
        (start(HTTPStatus.BAD_GATEWAY), True, 0),
        (start(None), False, 1),
        (start("fine"), False, 1),
        (start(500.5), False, 1),
        (start(object()), False, 1),
        ({"type": "http.response.start"}, False, 1),
    ],
)
def test_a_status_of_any_type_reaches_the_server_and_is_read_as_a_number(scout, message, is_error, invalid):
    async def app(scope, receive, send):
        await send(message)
        await send(body(b"text"))

    sent = asyncio.run(ask(AsgiMiddleware(app), http()))

    assert sent[0] is message
    assert (2, is_error, invalid) == (len(sent), scout.transaction.is_error, scout.agent.counters().invalid_values)
    assert current_transaction() is None


@pytest.mark.parametrize(
    "message", [{"status": 200}, Hostile(start()), None, 5, object()], ids=lambda m: type(m).__name__
)
def test_a_message_that_cannot_be_read_reaches_the_server_and_is_counted(scout, message):
    async def app(scope, receive, send):
        await send(message)
        await send(start())
        await send(body(b"text"))

    sent = asyncio.run(ask(AsgiMiddleware(app), http()))

    assert message is sent[0]
    assert (3, 1, False) == (len(sent), scout.agent.counters().invalid_values, scout.transaction.is_error)


@pytest.mark.parametrize("message", [{}, Hostile(start()), None], ids=lambda m: type(m).__name__)
def test_a_message_of_the_server_that_cannot_be_read_reaches_the_application(scout, message):
    given = []

    async def receive():
        return message

    async def send(message):
        pass

    async def app(scope, receive, send):
        given.append(await receive())
        await home(scope, receive, send)

    asyncio.run(AsgiMiddleware(app)(http(), receive, send))

    assert message is given[0]
    assert (1, False) == (scout.agent.counters().invalid_values, scout.transaction.is_error)


def test_a_plugin_that_cannot_judge_an_exception_does_not_replace_it(scout):
    async def app(scope, receive, send):
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(record_request(app, http(), None, None, is_disconnect=lambda error: 1 / 0))

    assert ("LookupError", 1) == (scout.transaction.error, scout.agent.counters().invalid_values)


@pytest.mark.parametrize(
    ("status", "is_raised", "is_handled"), [(500, True, False), (500, False, True), (200, True, True)]
)
def test_an_exception_that_is_answered_belongs_to_the_request(scout, status, is_raised, is_handled):
    """A framework sends an error page, and raises the exception again then; or it does not."""
    raised = LookupError("no such article")

    async def app(scope, receive, send):
        try:
            raise raised
        except LookupError:
            await send(start(status))
            await send(body())
            if is_raised:
                raise

    with pytest.raises(LookupError) if is_raised else contextlib.nullcontext():
        asyncio.run(ask(AsgiMiddleware(app), http()))

    (error,) = scout.transaction.errors
    assert (error.exception, error.handled, scout.transaction.is_error) == ("LookupError", is_handled, status == 500)
    assert [frame[2] for frame in error.frames] == ["app", "ask"][: len(error.frames)]


def test_no_span_of_a_hook_is_recorded_after_the_response():
    class Hooks:
        @hookimpl
        def on_span(self, span):
            with begin_span("Hook/Span"):
                pass

    async def app(scope, receive, send):
        await home(scope, receive, send)
        with span("Mail/Send"):
            pass

    with recording(plugins=[Hooks()]) as scout:
        asyncio.run(ask(AsgiMiddleware(app), http()))

        assert [found.operation for found in scout.spans] == ["SQL/Query", "Mail/Send"]


@pytest.mark.scout(max_spans=10)
def test_a_stream_of_hours_has_a_bounded_number_of_spans(scout):
    async def app(scope, receive, send):
        await send(start())
        for _ in range(1000):
            with span("SQL/Fetch"):
                pass
            await send(body(b"event", more=True))
        await send(body())

    asyncio.run(ask(AsgiMiddleware(app), http()))

    assert len(scout.transaction.spans) <= 10


def test_a_task_that_outlives_the_application_does_not_reopen_the_request(scout):
    async def run():
        async def later():
            await is_over.wait()
            with span("Late/Span"):
                pass

        async def app(scope, receive, send):
            tasks.append(asyncio.create_task(later()))
            await home(scope, receive, send)

        is_over, tasks = asyncio.Event(), []
        await ask(AsgiMiddleware(app), http())
        is_over.set()
        await tasks[0]

    asyncio.run(run())

    assert [found.operation for found in scout.spans] == ["SQL/Query"]
    assert len(scout.transactions) == 1
