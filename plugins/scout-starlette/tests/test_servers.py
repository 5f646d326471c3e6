"""uvicorn, under ``scout-core run``: every request arrives, whichever process answers it and however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import pytest

LISTENING = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
PATIENCE = 60.0
"""Seconds for what a server does in much less."""
SHOP = """
import asyncio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from scout_core import span

async def home(request):
    with span("SQL/Query"):
        await asyncio.sleep(0)
    return PlainTextResponse("home", background=BackgroundTask(remember))

def remember():
    pass

async def forever():
    while True:
        yield b"row" * 1000
        await asyncio.sleep(0.001)

async def feed(request):
    return StreamingResponse(forever())

async def upload(request):
    return PlainTextResponse(str(len(await request.body())))

app = Starlette(routes=[Route("/", home), Route("/feed", feed), Route("/upload", upload, methods=["POST"])])
"""
NOTES = """
import json, os
from pathlib import Path
from scout_core import hookimpl

@hookimpl
def on_request_end(transaction):
    note({"operation": transaction.operation, "aborted": "aborted" in transaction.tags, "is_error": transaction.is_error})

@hookimpl
def on_report(report):
    note({"pid": os.getpid(), "counts": {figures.name: figures.count for figures in report.transactions}})

def note(line):
    with Path("notes.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
"""


class Shop:
    """The application behind a server."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        (folder / "shop.py").write_text(SHOP)
        (folder / "notes.py").write_text(NOTES)
        self.log = folder / "server.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SCOUT_")}
        environment |= {
            "PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1", "SCOUT_PLUGINS": "notes", "SCOUT_STATE_DIR": str(folder / "state"),
            "SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20", "SCOUT_PLUGINS_DISABLE": "collector",
        }  # fmt: skip
        command = [
            sys.executable,
            "-m",
            "scout_core",
            "run",
            "--",
            str(Path(sys.executable).with_name("uvicorn")),
            "--port",
            "0",
            *options,
            "shop:app",
        ]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.port = int(self._eventually(lambda: LISTENING.search(self.log.read_text()))[1])
        self._eventually(self._accepts)  # with workers the port is printed before they listen

    def _accepts(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, path: str = "/") -> str:
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
            return answer.read().decode()

    def leave(self, request: bytes, after: int) -> None:
        """Send a request, read so many bytes of the answer, and reset the connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(request)
            while after > 0:
                after -= len(client.recv(after))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def notes(self, key: str) -> list[dict]:
        path = self.folder / "notes.jsonl"
        lines = map(json.loads, path.read_text().splitlines()) if path.exists() else []
        return [line for line in lines if key in line]

    def until_noted(self, operation: str) -> dict:
        return self._eventually(
            lambda: next((note for note in self.notes("operation") if note["operation"] == operation), None)
        )

    def counts(self) -> Counter[str]:
        return sum((Counter(note["counts"]) for note in self.notes("counts")), Counter())

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)

    def _eventually(self, found):
        deadline = time.monotonic() + PATIENCE
        while not (result := found()):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)
        return result


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[object]:
    started: list[Shop] = []

    def serve(*options: str) -> Shop:
        started.append(Shop(tmp_path, *options))
        return started[-1]

    yield serve
    for shop in started:
        shop.close()


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--lifespan", "off")], ids=" ".join)
def test_every_request_and_task_arrives_when_the_server_is_terminated(serve, options):
    shop = serve(*options)
    with ThreadPoolExecutor(8) as pool:
        assert {"home"} == set(pool.map(lambda _: shop.ask(), range(60)))
    shop.end()

    assert {"Controller/shop.home": 60, "Job/shop.remember": 60} == shop.counts()
    reporting = [note["pid"] for note in shop.notes("counts") if note["counts"]]
    assert len(reporting) == len(set(reporting))  # the last report of a process is one, although two places ask for it


@pytest.mark.parametrize(
    ("request_of", "after", "operation"),
    [
        (b"GET /feed HTTP/1.1\r\nHost: shop\r\n\r\n", 5000, "Controller/shop.feed"),
        (b"POST /upload HTTP/1.1\r\nHost: shop\r\nContent-Length: 900\r\n\r\npart", 0, "Controller/shop.upload"),
    ],
    ids=["during the response", "during the request"],
)
def test_a_client_that_leaves_is_not_an_error(serve, request_of, after, operation):
    shop = serve()
    assert "home" == shop.ask()
    shop.leave(request_of, after)

    assert {"operation": operation, "aborted": True, "is_error": False} == shop.until_noted(operation)
