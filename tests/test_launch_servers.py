"""``scout-core run`` in front of real servers: every process that answers requests records them, and its reports arrive."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.commandline import Commandline
from tests.workbench import CollectorSink, announced, eventually

RUN = (sys.executable, "-m", "scout_core", "run", "--")
BIN = Path(sys.executable).parent
LISTENING = re.compile(r"(?:Listening at:|running on|Running on) (http://127\.0\.0\.1:\d+)")
SHOP = """
import json, os, threading
import scout_core

VERSION = 1

def answer():
    with scout_core.transaction("Controller/shop.home"):
        agent = scout_core.running._running
        facts = {"pid": os.getpid(), "version": VERSION, "is_running": agent is not None and agent.is_running}
    return json.dumps(facts).encode()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [answer()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("none")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer()})
"""
FLASK_SHOP = """
import json, os
from flask import Flask
import scout_core

VERSION = 1
app = Flask(__name__)

@app.get("/")
def home():
    agent = scout_core.start()
    return json.dumps({"pid": os.getpid(), "version": VERSION, "is_running": agent is not None and agent.is_running})
"""


@pytest.fixture
def scout_core(tmp_path):
    return Commandline(tmp_path)


@pytest.fixture
def sink(scout_core):
    sink = CollectorSink()
    announced(scout_core.state, sink.url)
    yield sink
    sink.close()


def restore_interrupts() -> None:
    """Restore the handler of SIGINT, which a background job of a shell ignores."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def serving(scout_core):
    """Return a function that starts a server below ``scout-core run``; it and its children end with the test."""
    started = []

    def start(*command: str | Path, **more: str) -> Server:
        log = scout_core.here / "server.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*RUN, *command],
                cwd=scout_core.here,
                env=scout_core.environment(SCOUT_REPORT_PERIOD="1", PYTHONUNBUFFERED="1", **more),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=restore_interrupts,
            )
        started.append(process)
        found = eventually(lambda: LISTENING.search(log.read_text()) or check_running(process, log), 60)
        return Server(process, found[1], log)

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def check_running(process: subprocess.Popen[bytes], log: Path) -> None:
    assert process.poll() is None, log.read_text()


class Server:
    """A server that listens."""

    def __init__(self, process, url, log):
        self.process, self.url, self.log = process, url, log

    def ask(self):
        """Return the answer of the application; None while it is not available."""
        try:
            with urlopen(self.url, timeout=20) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def ask_all(self, number: int) -> list[dict]:
        return [eventually(self.ask) for _ in range(number)]


WORKERS = [[], ["--preload"], ["--threads", "2"], ["-k", "gevent"], ["-k", "gevent", "--preload"]]
"""Workers of gevent patch the standard library after the agent has started."""


@pytest.mark.parametrize("options", WORKERS, ids=" ".join)
def test_every_worker_of_gunicorn_records(scout_core, serving, sink, options):
    scout_core.write("shop.py", SHOP)
    server = serving(BIN / "gunicorn", "--workers", "2", "--bind", "127.0.0.1:0", *options, "shop:wsgi")
    answers = server.ask_all(10)
    eventually(lambda: sink.counted >= 10)

    assert {True} == {answer["is_running"] for answer in answers}
    assert server.process.pid not in {answer["pid"] for answer in answers}
    assert {answer["pid"] for answer in answers} == {report.process.pid for report in sink.reports}
    assert 10 == sink.counted
    assert "Traceback" not in server.log.read_text()


def test_a_worker_that_gunicorn_restarts_records(scout_core, serving, sink):
    scout_core.write("shop.py", SHOP)
    server = serving(BIN / "gunicorn", "--workers", "1", "--bind", "127.0.0.1:0", "shop:wsgi")
    first = eventually(server.ask)
    server.process.send_signal(signal.SIGHUP)
    second = eventually(lambda: [answer for answer in server.ask_all(1) if answer["pid"] != first["pid"]])[0]
    eventually(lambda: {first["pid"], second["pid"]} <= {report.process.pid for report in sink.reports})

    assert second["is_running"]


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]], ids=" ".join)
def test_every_process_of_uvicorn_records(scout_core, serving, sink, options):
    """Its workers are separate interpreters, which find the agent through the environment."""
    scout_core.write("shop.py", SHOP)
    server = serving(BIN / "uvicorn", "--port", "0", "--lifespan", "off", *options, "shop:asgi")
    answers = server.ask_all(6)
    eventually(lambda: sink.counted >= 6)

    assert {True} == {answer["is_running"] for answer in answers}
    assert {answer["pid"] for answer in answers} == {report.process.pid for report in sink.reports}
    assert (6, not options) == (sink.counted, server.process.pid in {answer["pid"] for answer in answers})


def test_flask_run_records_before_and_after_a_reload(scout_core, serving, sink):
    pytest.importorskip("scout_flask", reason="not with the core only: scout-flask installs Flask")
    file = scout_core.write("shop.py", FLASK_SHOP)
    server = serving(BIN / "flask", "--app", "shop", "run", "--debug", "--port", "0")
    first = eventually(server.ask)
    file.write_text(file.read_text().replace("VERSION = 1", "VERSION = 22"))
    second = eventually(lambda: [answer for answer in server.ask_all(1) if answer["version"] == 22], 60)[0]
    eventually(lambda: {first["pid"], second["pid"]} <= {report.process.pid for report in sink.reports})

    assert (True, True) == (first["is_running"], second["is_running"])
    assert first["pid"] != second["pid"] != server.process.pid
    assert {"Controller/shop.home"} == {metrics.name for report in sink.reports for metrics in report.transactions}


def test_a_module_that_runs_a_server_records(scout_core, serving, sink):
    scout_core.write("shop.py", SHOP)
    scout_core.write(
        "serve/__main__.py",
        """
        from wsgiref.simple_server import WSGIRequestHandler, make_server
        from shop import wsgi

        with make_server("127.0.0.1", 0, wsgi) as server:
            print("Listening at:", f"http://127.0.0.1:{server.server_port}", flush=True)
            server.serve_forever()
        """,
    )
    server = serving(sys.executable, "-m", "serve")
    answers = server.ask_all(3)
    eventually(lambda: sink.counted >= 3)

    assert {(server.process.pid, True)} == {(answer["pid"], answer["is_running"]) for answer in answers}
