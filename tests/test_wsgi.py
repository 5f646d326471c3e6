"""``WsgiMiddleware``: each request of a WSGI application is a transaction, until its body has been sent."""

from __future__ import annotations

import io
import os
import sys
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from types import MappingProxyType

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.instruments.wsgi import NO_RESPONSE, UNNAMED, WsgiMiddleware
from scout_core.testing import recording
from tests.servers import BIN, servers
from tests.workbench import eventually
from tests.wsgi_servers import SERVERS, ask, leave_early
from tests.wsgi_shop import PATHS, TEXT, Chunks, StockError, named, shop

HERE = Path(__file__).resolve().parent
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def environ(path="/", **more):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "wsgi.input": io.BytesIO(), **more}


def answering(body, status="200 OK", *more):
    """Return an application that gives this body."""

    def app(environ, start_response):
        start_response(status, [("Content-Type", "text/plain")], *more)
        return body

    return app


def send(app, request=None):
    """Do as a server does; return what ``start_response`` was called with, and the parts of the body."""
    calls = []
    body = app(request or environ(), lambda *args: calls.append(args))
    try:
        return calls, list(body)
    finally:
        if hasattr(body, "close"):
            body.close()


def test_a_request_is_a_transaction_with_its_facts(scout):
    headers = {"HTTP_TRACEPARENT": CALLER, "HTTP_X_FORWARDED_FOR": "198.51.100.1", "HTTP_X_REQUEST_START": "t=1"}
    calls, parts = send(WsgiMiddleware(answering([b"home"])), environ("/cart", SCRIPT_NAME="/shop", **headers))

    assert ([("200 OK", [("Content-Type", "text/plain")])], [b"home"]) == (calls, parts)
    assert (UNNAMED, {"path": "/shop/cart", "user_ip": "198.51.100.1"}) == (
        scout.transaction.operation,
        scout.transaction.tags,
    )
    assert (CALLER[3:35], CALLER[36:52]) == (scout.transaction.trace_id, scout.transaction.parent_span_id)
    assert scout.transaction.queue_time is None  # of 1970


def test_the_time_in_the_queue_is_read(scout, scout_clock):
    request = environ(HTTP_X_REQUEST_START=f"t={scout_clock.time() - 2:.3f}")
    send(WsgiMiddleware(answering([])), request)

    assert 2.0 == pytest.approx(scout.transaction.queue_time, abs=0.01)


def test_environ_arguments_and_results_are_the_same_objects(scout, tmp_path):
    seen, wrote = [], []
    request, headers, error = environ(), [("A", "b")], (None, None, None)

    def write(part):
        wrote.append(part)

    def app(environ, start_response):
        seen.append((environ, dict(environ)))
        seen.append(start_response("200 OK", headers))
        start_response("200 OK", headers, error)
        start_response(status="200 OK", response_headers=headers)
        return body

    def start_response(*args, **kwargs):
        seen.append((args, kwargs))
        return write

    with (tmp_path / "file").open("w+b") as file:
        bodies = [b"a"], (b"a",), b"a", None, file, io.BytesIO(b"a")
        for body in bodies:
            seen.clear()
            before = dict(request)
            assert body is WsgiMiddleware(app)(request, start_response)
            assert before == request == seen[0][1]
            assert request is seen[0][0]
            assert write is seen[2]
            calls = [found for found in seen[1:] if found is not write]
            assert [(("200 OK", headers), {}), (("200 OK", headers, error), {})] == calls[:2]
            assert ((), {"status": "200 OK", "response_headers": headers}) == calls[2]
            assert headers is calls[0][0][1]
            assert error is calls[1][0][2]
            if hasattr(body, "close"):
                body.close()

    assert 6 == len(scout.transactions)
    assert ["None"] == [
        str(body)
        for body, is_error in zip(bodies, [recorded.is_error for recorded in scout.transactions], strict=True)
        if is_error
    ]


class Status(str):
    """A text of the application's own class."""

    def __getitem__(self, key):
        raise RuntimeError("getitem")


@pytest.mark.parametrize(
    ("status", "is_error", "invalid"),
    [
        ("200 OK", False, 0), ("404 Not Found", False, 0), ("500 Oops", True, 0), ("503 Busy", True, 0), ("599 x", True, 0),
        ("99 X", False, 0), ("500", True, 0), ("Oops", False, 1), ("", False, 1),
        (Status("500 Oops"), True, 0), (Status("200 OK"), False, 0), (b"500 Oops", True, 0), (500, True, 0),
        (HTTPStatus.OK, False, 0), (None, False, 1), (object(), False, 1),
    ],
)  # fmt: skip
def test_the_status_decides(scout, status, is_error, invalid):
    calls, _ = send(WsgiMiddleware(answering([], status)))

    assert status is calls[0][0]
    assert (is_error, invalid) == (scout.transaction.is_error, scout.agent.counters().invalid_values)


class Unstarted(Chunks):
    """A body that is sent without ``start_response``."""


@pytest.mark.parametrize("make", [lambda: [b"a"], lambda: None, lambda: Unstarted(b"a"), lambda: iter([b"a"])])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_an_application_that_never_starts_its_response_has_failed(scout, make, is_wrapped):
    """Servers answer with status 500."""
    app = WsgiMiddleware(lambda environ, start_response: make())
    body = (WsgiMiddleware(app) if is_wrapped else app)(environ(), lambda *args: None)
    list(body or ())
    getattr(body, "close", lambda: None)()
    del body

    assert (True, True) == (scout.transaction.tags[NO_RESPONSE], scout.transaction.is_error)


@pytest.mark.parametrize("body", [None, 5, object(), len])
def test_an_application_that_returns_nothing_that_can_be_sent_has_failed(scout, body):
    returned = WsgiMiddleware(answering(body))(environ(), lambda *args: None)

    assert body is returned

    assert (True, True) == (scout.transaction.tags[NO_RESPONSE], scout.transaction.is_error)


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_response_may_start_with_its_first_part(scout, is_wrapped):
    def app(environ, start_response):
        yield b""
        start_response("200 OK", [])
        yield b"text"

    send(WsgiMiddleware(WsgiMiddleware(app)) if is_wrapped else WsgiMiddleware(app))

    assert (False, False) == (NO_RESPONSE in scout.transaction.tags, scout.transaction.is_error)
    assert "error" not in scout.transaction.tags


@pytest.mark.parametrize(
    ("statuses", "is_error"), [(["200 OK", "500 Oops"], True), (["500 Oops", "200 OK"], False)], ids=str
)
def test_the_last_status_counts(scout, statuses, is_error):
    def app(environ, start_response):
        for status in statuses:
            start_response(status, [])
        return []

    send(WsgiMiddleware(app))

    assert is_error is scout.transaction.is_error


def test_a_status_that_comes_late_counts(scout):
    def app(environ, start_response):
        with span("SQL/Query"):
            start_response("500 Oops", [])
        yield b"oops"

    send(WsgiMiddleware(app))

    assert scout.transaction.is_error
    assert ["SQL/Query"] == [found.operation for found in scout.spans]


@pytest.mark.parametrize(("status", "is_error"), [("500 Oops", True), ("404 Not Found", False)])
def test_an_exception_that_the_application_answers_is_recorded(scout, status, is_error):
    def app(environ, start_response):
        try:
            raise StockError
        except StockError:
            start_response(status, [], sys.exc_info())
        return []

    send(WsgiMiddleware(app))

    (error,) = scout.transaction.errors
    assert (is_error, not is_error) == (scout.transaction.is_error, error.handled)
    assert error.exception.endswith("StockError")


def test_a_status_that_the_server_refuses_does_not_count(scout):
    def refuse(*args):
        raise AssertionError("headers were sent")

    with pytest.raises(AssertionError):
        WsgiMiddleware(answering([], "500 Oops"))(environ(), refuse)

    assert "error" not in scout.transaction.tags
    assert "AssertionError" == scout.transaction.error


@pytest.mark.parametrize("in_body", [False, True])
def test_an_exception_passes_untouched_and_is_recorded(scout, in_body):
    raised = StockError("sold out")

    def app(environ, start_response):
        def fail():
            raise raised
            yield

        return fail() if in_body else next(fail())

    with pytest.raises(StockError) as caught:
        send(WsgiMiddleware(app))

    assert raised is caught.value
    assert (None, None) == (raised.__cause__, raised.__context__)
    assert str(scout.transaction.error).endswith("StockError")


def test_the_end_of_an_iterator_is_an_error_where_no_value_was_asked_for(scout):
    """As of ``next()`` without a default: servers answer with status 500."""

    def app(environ, start_response):
        return next(user for user in [] if user == environ["REMOTE_USER"])

    with pytest.raises(StopIteration):
        send(WsgiMiddleware(app))

    assert "StopIteration" == scout.transaction.error
    assert ["StopIteration"] == [error.exception for error in scout.transaction.errors]


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, KeyboardInterrupt])
def test_the_end_of_the_process_is_not_an_error(scout, error):
    def app(environ, start_response):
        raise error

    with pytest.raises(error):
        send(WsgiMiddleware(app))

    assert (None, False) == (scout.transaction.error, scout.transaction.is_error)


def test_a_body_acts_as_the_original_and_is_closed_once(scout):
    chunks = Chunks(b"one", b"two")
    body = WsgiMiddleware(answering(chunks))(environ(), lambda *args: None)
    assert (2, Chunks, chunks.chunks) == (len(body), body.__class__, body.chunks)
    assert [] == scout.transactions
    parts = iter(body)
    assert b"one" == next(parts)
    assert current_transaction() is None
    assert [b"two"] == list(parts)
    body.close()

    assert 1 == chunks.closed
    assert ["Piece/Make", "Piece/Make", UNNAMED] == scout.operations


def test_a_body_that_is_closed_before_its_first_part_is_closed_and_ends_the_request(scout):
    chunks, closed = Chunks(b"one"), []

    def generator():
        try:
            yield b"one"
        finally:
            closed.append(True)

    for body in (chunks, generator()):
        WsgiMiddleware(answering(body))(environ(), lambda *args: None).close()

    assert (1, []) == (chunks.closed, closed)  # a generator that has not begun runs nothing
    assert [UNNAMED] * 2 == scout.operations


def test_a_close_that_fails_passes_its_exception_which_is_an_error(scout):
    chunks = Chunks(b"one", fails=True)
    with pytest.raises(StockError):
        send(WsgiMiddleware(answering(chunks)))

    assert (1, 1) == (chunks.closed, len(scout.transactions))
    assert str(scout.transaction.error).endswith("StockError")


def test_functions_that_werkzeug_calls_on_close_belong_to_the_request(scout):
    wrappers = pytest.importorskip("werkzeug.wrappers")

    def app(environ, start_response):
        response = wrappers.Response("text")

        @response.call_on_close
        def commit():
            with span("SQL/Commit"):
                raise StockError

        return response(environ, start_response)

    with pytest.raises(StockError):
        send(WsgiMiddleware(app), environ(**{"wsgi.url_scheme": "http", "HTTP_HOST": "a"}))

    assert [("SQL/Commit", UNNAMED)] == [(found.operation, found.parent) for found in scout.spans]
    assert str(scout.transaction.error).endswith("StockError")


def test_a_body_that_is_dropped_ends_the_request(scout):
    body = WsgiMiddleware(answering(Chunks(b"one")))(environ(), lambda *args: None)
    next(iter(body))
    del body

    assert True is scout.transaction.tags["abandoned"]
    assert not scout.transaction.is_error


def test_a_body_may_be_read_and_closed_on_other_threads(scout):
    body = WsgiMiddleware(answering(Chunks(b"one", b"two")))(environ(), lambda *args: None)
    parts, read = iter(body), []
    for step in (lambda: read.append(next(parts)), lambda: read.append(next(parts)), body.close):
        thread = Thread(target=step)
        thread.start()
        thread.join()

    assert [b"one", b"two"] == read
    assert {("Piece/Make", UNNAMED)} == {(found.operation, found.parent) for found in scout.spans}


def test_what_is_written_is_part_of_the_request(scout):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        with span("SQL/Query"):
            write(b"a")
        return []

    wrote = []
    WsgiMiddleware(app)(environ(), lambda *args: wrote.append)

    assert ([b"a"], ["SQL/Query", UNNAMED]) == (wrote, scout.operations)


class Truthless:
    """As an array of numpy."""

    def __bool__(self):
        raise ValueError("truth")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Controller/shop", "Controller/shop"),
        (lambda environ: f"Controller{environ['PATH_INFO']}", "Controller/cart"),
        (lambda environ: environ["nothing"], UNNAMED),
        (lambda environ: None, UNNAMED),
        (lambda environ: "", UNNAMED),
        (lambda environ: 5, "Controller/<int>"),
        (lambda environ: Truthless(), "Controller/<Truthless>"),
    ],
)
def test_names(scout, name, expected):
    send(WsgiMiddleware(answering([]), name=name), environ("/cart"))

    assert [expected] == scout.operations


@pytest.mark.parametrize("names", [("Controller/outer", "Controller/inner"), (UNNAMED, UNNAMED)], ids=str)
@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_two_around_an_application_record_a_single_transaction(scout, names, status, is_stream):
    body = Chunks(b"one") if is_stream else [b"one"]
    send(WsgiMiddleware(WsgiMiddleware(answering(body, status), name=names[1]), name=names[0]))

    assert (names[1], status[0] == "5") == (scout.transaction.operation, scout.transaction.is_error)
    assert ["Piece/Make"] * is_stream == [found.operation for found in scout.spans]


def test_a_request_that_the_application_makes_itself_is_a_span(scout):
    inner = WsgiMiddleware(answering([b"a"]), name="Controller/inner")

    def app(environ_, start_response):
        send(inner, environ("/inner"))
        start_response("200 OK", [])
        return []

    send(WsgiMiddleware(app, name="Controller/outer"))

    assert ["Controller/inner", "Controller/outer"] == scout.operations


@pytest.mark.scout(ignore=["/health"])
def test_an_ignored_path_is_not_recorded(scout):
    def app(environ, start_response):
        with span("SQL/Query"), transaction("Controller/inside"):
            start_response("200 OK", [])
        yield b""

    send(WsgiMiddleware(app), environ("/health"))

    assert ([], [UNNAMED]) == (scout.transactions, [name for name, _ in scout.ignored])


@pytest.mark.parametrize("settings", ["abc", [("SCOUT_NAME", "Shop")], 5, {"SCOUT_NAME"}], ids=repr)
@pytest.mark.parametrize("middleware", [WsgiMiddleware, AsgiMiddleware])
def test_settings_that_are_not_a_mapping_are_refused_at_once(middleware, settings):
    """Not in the server, at the first request."""
    with pytest.raises(TypeError) as caught:
        middleware(answering([]), settings=settings)

    expected = f'settings must be a mapping such as {{"SCOUT_NAME": "Shop"}}, got {type(settings).__name__}'
    assert f"{middleware.__name__}: {expected}" == str(caught.value)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "Shop"}, "'name' (did you mean SCOUT_NAME?)"),
        ({"SCOUT_NAME": "Shop", "report-period": 5}, "'report-period' (did you mean SCOUT_REPORT_PERIOD?)"),
        ({5: 6, None: 1, "DEBUG": True}, "5, None, 'DEBUG'"),
        ({f"KEY{number}": 1 for number in range(50)}, "'KEY0', 'KEY1', 'KEY2', 'KEY3', 'KEY4' and 45 more"),
    ],
    ids=str,
)
@pytest.mark.parametrize("middleware", [WsgiMiddleware, AsgiMiddleware])
def test_keys_of_settings_that_are_not_variables_are_shown_once(caplog, middleware, settings, expected):
    middleware(answering([]), settings=settings)

    text = f"settings are ignored: {expected}; use environment variables of options, such as SCOUT_NAME"
    assert [f"{middleware.__name__}: {text}"] == caplog.messages


@pytest.mark.parametrize("settings", [None, {}, {"SCOUT_NAME": "Shop"}, MappingProxyType({"SCOUT_NOPE": 1})], ids=repr)
def test_other_settings_are_read_when_the_agent_starts(caplog, settings):
    WsgiMiddleware(answering([]), settings=settings)

    assert [] == caplog.messages


def test_without_an_agent_everything_is_the_applications_own(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith("SCOUT_")]:
        monkeypatch.delenv(variable)
    chunks, given = Chunks(b"one"), []

    def app(environ, start_response):
        given.append(start_response)
        return chunks

    def start_response(*args):
        """Do nothing."""

    assert chunks is WsgiMiddleware(app, settings={"SCOUT_MONITOR": False})(environ(), start_response)
    assert [start_response] == given


# Real servers


@pytest.fixture(params=SERVERS)
def serve(request):
    return SERVERS[request.param]


def test_servers_send_the_same_bytes_and_headers(serve, tmp_path):
    app = shop(tmp_path)
    requests = [(path, method) for path in PATHS for method in ("GET", "HEAD")]
    with serve(app) as port:
        before = [ask(port, path, method) for path, method in requests]
    app.chunks.clear()
    with recording() as scout, serve(WsgiMiddleware(app, name=named)) as port:
        assert before == [ask(port, path, method) for path, method in requests]
        eventually(lambda: len(scout.transactions) >= len(requests))
        found = scout.transactions

    assert {f"Controller{path}" for path in PATHS} == {recorded.operation for recorded in found}
    assert len(requests) == len(found)
    wrong = {"abandoned", "unfollowed_body", "error"}
    assert [] == [recorded for recorded in found if wrong & recorded.tags.keys()]
    eventually(lambda: all(chunks.closed == 1 for chunks in app.chunks))  # after a body's last byte has been sent


def test_spans_of_a_streamed_body_belong_to_its_request(serve, tmp_path):
    with recording() as scout, serve(WsgiMiddleware(shop(tmp_path), name=named)) as port:
        ask(port, "/generator")
        eventually(lambda: scout.transactions)

        assert [("Piece/Make", "Controller/generator")] * 3 == [(s.operation, s.parent) for s in scout.spans]
        assert 0 < scout.transaction.tags["active_time"] <= scout.transaction.duration


def test_an_error_while_a_body_is_sent_is_that_of_the_request(serve, tmp_path, capfd):
    with recording() as scout, serve(WsgiMiddleware(shop(tmp_path), name=named)) as port:
        try:
            ask(port, "/broken")
        except Exception:  # some servers close the connection
            pass
        eventually(lambda: scout.transactions)

        assert str(scout.transaction.error).endswith("StockError")


def test_an_error_while_a_body_is_closed_is_that_of_the_request(serve, tmp_path, capfd):
    with recording() as scout, serve(WsgiMiddleware(answering(Chunks(b"one", b"two", fails=True)), name=named)) as port:
        try:
            ask(port, "/chunks")
        except Exception:  # some servers close the connection
            pass
        eventually(lambda: scout.transactions)

        assert str(scout.transaction.error).endswith("StockError")
        assert ["Piece/Make"] * 2 == [found.operation for found in scout.spans]


def test_a_client_that_leaves_ends_the_request_without_an_error(serve, tmp_path, capfd):
    with recording() as scout, serve(WsgiMiddleware(shop(tmp_path), name=named)) as port:
        leave_early(port, "/endless")
        eventually(lambda: scout.transactions)

        assert (None, False) == (scout.transaction.error, scout.transaction.is_error)
        assert "abandoned" not in scout.transaction.tags


def test_the_client_of_werkzeug_gets_the_same(tmp_path):
    werkzeug = pytest.importorskip("werkzeug")
    app = shop(tmp_path)

    def answers(application):
        client = werkzeug.Client(application)
        found = [client.get(path) for path in PATHS]
        return [(answer.status, answer.headers.to_wsgi_list(), answer.data, answer.close())[:3] for answer in found]

    before = answers(app)
    with recording() as scout:
        assert before == answers(WsgiMiddleware(app, name=named))
        assert len(PATHS) == len(scout.transactions)


# In processes of their own

SERVED = """
from pathlib import Path
from scout_core.instruments.wsgi import WsgiMiddleware
from wsgi_shop import named, shop

app = WsgiMiddleware(shop(Path(__file__).parent), name=named, settings={"SCOUT_PLUGINS": ["keep"]})
"""
KEEP = """
from pathlib import Path
from scout_core import hookimpl

@hookimpl
def on_request_end(transaction):
    marks = sorted({"abandoned", "unfollowed_body"} & transaction.tags.keys())
    with (Path(__file__).parent / "ended.txt").open("a") as file:
        print(transaction.operation, transaction.is_error, *marks, file=file)
"""
UWSGI = ("uwsgi", "--http-socket", "127.0.0.1:0", "--master", "--enable-threads", "--wsgi", "served:app")
IN_PROCESSES = {
    "gunicorn": ("gunicorn", "-w", "2", "-b", "127.0.0.1:0", "served:app"),
    "gunicorn with threads": ("gunicorn", "-w", "2", "--threads", "4", "-b", "127.0.0.1:0", "served:app"),
    "gunicorn, preloaded": ("gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:0", "served:app"),
    "uWSGI": (*UWSGI, "--processes", "2"),
    "uWSGI with threads": (*UWSGI, "--processes", "2", "--threads", "4", "--offload-threads", "1"),
}


@pytest.mark.parametrize("command", IN_PROCESSES.values(), ids=IN_PROCESSES)
def test_servers_with_processes(tmp_path, command):
    if command[0] == "uwsgi":
        pytest.importorskip("pyuwsgi", reason="not with the oldest libraries: no uWSGI")
    with servers(tmp_path) as serving:
        serving.write("served.py", SERVED)
        serving.write("keep.py", KEEP)
        server = serving.start(BIN / command[0], *command[1:], PYTHONPATH=f"{tmp_path}{os.pathsep}{HERE}")
        port = int(server.url.rpartition(":")[2])
        lengths = {path: len(ask(port, path)[2]) for path in PATHS}
        for path in PATHS:
            ask(port, path, "HEAD")
        leave_early(port, "/endless")
        assert server.ask("/broken") in (None, "a\n")
        answers = server.ask_all(40, path="/generator")
        expected = 2 * len(PATHS) + 2 + 40
        ended = tmp_path / "ended.txt"
        eventually(lambda: ended.exists() and ended.read_text(encoding="utf-8").count("\n") >= expected)

    lines = ended.read_text(encoding="utf-8").split("\n")[:-1]
    assert (len(TEXT), len(TEXT), 24) == (lengths["/file"], lengths["/memory"], lengths["/generator"])
    assert 40 == answers.total()
    assert ["Controller/broken True"] == [line for line in lines if not line.endswith(" False")]
    assert expected == len(lines)
