"""Streamed responses: the transaction lasts until the body has been sent, whichever server sends it."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import flask
import pytest
import werkzeug
from werkzeug.serving import WSGIRequestHandler as WerkzeugHandler
from werkzeug.serving import make_server as make_werkzeug_server

from scout_core import current_transaction, span
from scout_core.testing import recording

TEXT = b"line\n" * 20_000
"""Larger than the buffers of a server."""


class StockError(Exception):
    """The application's own error."""


class Chunks:
    """An iterable of the application, with a length and a close."""

    def __init__(self) -> None:
        self.closed = 0

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[bytes]:
        for chunk in (b"one ", b"two"):
            with span("Piece/Make"):
                yield chunk

    def close(self) -> None:
        self.closed += 1


def new_app(folder: Path) -> flask.Flask:
    app = flask.Flask("shop")
    app.logger.disabled = True
    (folder / "text.txt").write_bytes(TEXT)
    app.config["chunks"] = []

    def pieces(number: int = 3) -> Iterator[str]:
        for count in range(number):
            with span("Piece/Make"):
                text = f"piece {count} of {flask.request.path}\n" if flask.has_request_context() else f"piece {count}\n"
            yield text

    @app.get("/generator")
    def generator() -> flask.Response:
        return flask.Response(pieces())

    @app.get("/returned")
    def returned() -> Iterator[str]:
        return pieces()

    @app.get("/context")
    def context() -> flask.Response:
        return flask.Response(flask.stream_with_context(pieces()))

    @app.get("/chunks")
    def chunks() -> flask.Response:
        app.config["chunks"].append(Chunks())
        return flask.Response(app.config["chunks"][-1])

    @app.get("/file")
    def file() -> flask.Response:
        return flask.send_file(folder / "text.txt", conditional=True, etag="fixed", last_modified=1_700_000_000)

    @app.get("/memory")
    def memory() -> flask.Response:
        return flask.send_file(io.BytesIO(TEXT), mimetype="text/plain")

    @app.get("/passed")
    def passed() -> flask.Response:
        return flask.Response((chunk.encode() for chunk in pieces()), direct_passthrough=True)

    @app.get("/nothing")
    def nothing() -> flask.Response:
        return flask.Response(pieces(), status=204)

    @app.get("/endless")
    def endless() -> flask.Response:
        def slowly() -> Iterator[str]:
            for piece in pieces(10**9):
                yield piece
                time.sleep(0.0005)  # a server whose threads are all busy may not notice that the client has left

        return flask.Response(slowly())

    @app.get("/broken")
    def broken() -> flask.Response:
        def failing() -> Iterator[str]:
            yield "a\n"
            raise StockError

        return flask.Response(failing())

    return app


PATHS = ("/generator", "/returned", "/context", "/chunks", "/file", "/memory", "/passed", "/nothing")


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Log nothing."""


class Threading(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietWerkzeug(WerkzeugHandler):
    def log(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def wsgiref_server(app: flask.Flask) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, server_class=Threading, handler_class=Quiet) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def werkzeug_server(app: flask.Flask) -> Iterator[int]:
    server = make_werkzeug_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietWerkzeug)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def waitress_server(app: flask.Flask) -> Iterator[int]:
    waitress = pytest.importorskip("waitress.server")
    sockets: dict[int, Any] = {}
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=2, map=sockets)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        try:
            server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(sockets))  # the loop ends without sockets
        except OSError:  # it was awake, and has closed them before it was woken up
            pass
        thread.join(20)


SERVERS = {"wsgiref": wsgiref_server, "werkzeug": werkzeug_server, "waitress": waitress_server}


@pytest.fixture(params=SERVERS)
def port(request: pytest.FixtureRequest, app: flask.Flask) -> Iterator[int]:
    with SERVERS[request.param](app) as number:
        yield number


@pytest.fixture
def app(tmp_path: Path) -> flask.Flask:
    return new_app(tmp_path)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, [pair for pair in answer.getheaders() if pair[0] != "Date"], answer.read()
    finally:
        connection.close()


def eventually(condition: Callable[[], object]) -> object:
    """Wait until a server has closed a body, which it does after the client has got the last byte."""
    until = time.monotonic() + 20
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.002)
    return found


def test_every_byte_is_the_same_and_the_transaction_ends_with_the_body(app, port):
    requests = [(path, method) for path in PATHS for method in ("GET", "HEAD")]
    before = [ask(port, path, method) for path, method in requests]
    ranged = ask(port, "/file", Range="bytes=5-20")
    unchanged = ask(port, "/file", **{"If-None-Match": '"fixed"'})
    with recording() as scout:
        during = [ask(port, path, method) for path, method in requests]
        assert ranged == ask(port, "/file", Range="bytes=5-20")
        assert unchanged == ask(port, "/file", **{"If-None-Match": '"fixed"'})
        eventually(lambda: len(scout.transactions) == len(requests) + 2)
        found = {(seen.operation.rpartition(".")[2], seen.error) for seen in scout.transactions}
        tags = {key for seen in scout.transactions for key in seen.tags}

        assert before == during
        assert {(path[1:], None) for path in PATHS} == found
        assert (206, 304) == (ranged[0], unchanged[0])
        assert not {"abandoned", "unfollowed_body", "error"} & tags
        assert len(requests) + 2 == len(scout.transactions)
    assert all(chunks.closed == 1 for chunks in app.config["chunks"])


def test_spans_of_the_body_belong_to_its_transaction(port):
    with recording() as scout:
        for path in ("/generator", "/context", "/chunks", "/passed"):
            ask(port, path)
            assert eventually(lambda: scout.transactions)
            web = scout.transaction
            assert {("Piece/Make", web.operation)} == {(piece.operation, piece.parent) for piece in web.spans}
            assert len(web.spans) >= 2
            assert 0 < web.tags["active_time"] <= web.duration
            scout.forget()


def test_an_error_while_streaming_is_the_transactions(port, capfd):
    with recording() as scout:
        try:
            ask(port, "/broken")
        except Exception:  # noqa: BLE001  # some servers close the connection
            pass
        assert eventually(lambda: scout.transactions)

        assert str(scout.transaction.error).endswith("StockError")
        assert scout.transaction.is_error


def test_a_client_that_leaves_ends_the_transaction_without_an_error(port, capfd):
    with recording() as scout:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(10)
        assert eventually(lambda: scout.transactions)

        assert (None, False) == (scout.transaction.error, scout.transaction.is_error)
        assert "abandoned" not in scout.transaction.tags


def test_a_response_that_takes_60_ms_to_stream_takes_60_ms(app, port):
    @app.get("/slow")
    def slow() -> flask.Response:
        def pieces() -> Iterator[str]:
            for _ in range(6):
                time.sleep(0.01)
                yield "piece\n"

        return flask.Response(pieces())

    with recording() as scout:
        ask(port, "/slow")
        assert eventually(lambda: scout.transactions)

        assert scout.transaction.tags["active_time"] >= 0.06
        assert scout.transaction.duration >= 0.06


def test_nothing_stays_current_on_the_thread_that_sends(app):
    inside = []

    def outer(environ, start_response):
        body = app.wsgi_app(environ, start_response)
        inside.append(current_transaction())
        for chunk in body:
            inside.append(current_transaction())
            yield chunk
        body.close()
        inside.append(current_transaction())

    with recording() as scout:
        client = werkzeug.Client(outer)
        assert b"piece 0" in client.get("/generator").data
        assert [None] * len(inside) == inside
        assert 1 == len(scout.transactions)


# gunicorn, in processes of its own

GUNICORN_APP = """
import json
import sys
import types
from pathlib import Path

import scout_core
from scout_core import hookimpl
from test_streaming import new_app

ended = []


class Keep:
    @hookimpl
    def on_request_end(self, transaction):
        ended.append((transaction.operation.rpartition(".")[2], transaction.is_error, sorted(transaction.tags)))


keep = types.ModuleType("keep")
keep.on_request_end = Keep().on_request_end
sys.modules["keep"] = keep
scout_core.start(plugins=["scout_flask", "keep"], plugins_autoload=False)
app = new_app(Path(__file__).parent)


@app.get("/recorded")
def recorded():
    return json.dumps([seen for seen in ended if seen[0] != "recorded"])
"""


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_under_gunicorn(worker, tmp_path, monkeypatch):
    pytest.importorskip("gunicorn")
    (tmp_path / "served.py").write_text(GUNICORN_APP)
    log = tmp_path / "log.txt"
    command = [sys.executable, "-m", "gunicorn", "-k", worker, "-w", "1", "--threads", "1" if worker == "sync" else "2"]
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*command, "-b", "127.0.0.1:0", "served:app"], cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT,
            env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parent}", "PATH": "", "SCOUT_STATE_DIR": str(tmp_path / "state")},
        )  # fmt: skip
    try:
        found = eventually(lambda: re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()))
        assert found, log.read_text()
        port = int(found[1])
        for path in PATHS:
            ask(port, path)
            ask(port, path, "HEAD")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(10)
        try:
            ask(port, "/broken")
        except Exception:  # noqa: BLE001  # the connection is closed
            pass
        expected = 2 * len(PATHS) + 2
        recorded: list[list[object]] = []

        def all_recorded() -> bool:
            recorded[:] = json.loads(ask(port, "/recorded")[2])
            return len(recorded) >= expected

        assert eventually(all_recorded), recorded
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)

    assert {*(path[1:] for path in PATHS), "endless", "broken"} == {name for name, _, _ in recorded}
    assert ["broken"] == [name for name, is_error, _ in recorded if is_error]
    assert not {"abandoned", "unfollowed_body"} & {tag for _, _, tags in recorded for tag in tags}
    assert expected == len(recorded)
