"""Real servers for tests: started with an application, asked by many clients at once, and ended as their operators do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from scout_core.measuring.report import Report
from tests.workbench import CollectorSink, announced, environment_for, eventually

BIN = Path(sys.executable).parent
LISTENING = re.compile(
    r"(?:Listening at: http://|running on http://|Running on http://|bound to TCP address )(127\.0\.0\.1:\d+)"
)


class Server:
    """A server that listens, and the collector that its processes report to."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def ask(self, path: str = "/") -> str | None:
        """Return the body of an answer; None without an answer."""
        try:
            with urlopen(self.url + path, timeout=20) as answer:
                return str(answer.read().decode())
        except (OSError, HTTPException):  # a worker that is restarted closes connections
            return None

    def ask_all(self, number: int, clients: int = 8, path: str = "/") -> Counter[str]:
        """Send so many requests, and return the bodies of the answers with how often each came."""
        with ThreadPoolExecutor(clients) as pool:
            answers = pool.map(lambda _: self.ask(path), range(number))
            return Counter(answer for answer in answers if answer is not None)

    def end(self, number: int = signal.SIGTERM) -> str:
        """End it by a signal, and return what it has printed."""
        self.process.send_signal(number)
        self.process.wait(60)
        return self.log.read_text(encoding="utf-8")


class Servers:
    """Starts servers in a folder of their own; ``reports`` are those that have arrived."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sink = CollectorSink()
        self._started: list[subprocess.Popen[bytes]] = []
        announced(folder / "state", self.sink.url)

    def write(self, name: str, source: str) -> None:
        """Write a module of the application."""
        (self.folder / name).write_text(textwrap.dedent(source), encoding="utf-8")

    def start(self, *command: str | Path, **environment: str) -> Server:
        """Start a server, and wait until it listens."""
        log = self.folder / f"server{len(self._started)}.log"
        generous = {"SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20", "SCOUT_REPORT_PERIOD": "60", "PYTHONUNBUFFERED": "1"}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [str(part) for part in command], cwd=self.folder, stdout=file, stderr=subprocess.STDOUT,
                env=environment_for(self.folder / "state", **{**generous, "PYTHONPATH": str(self.folder), **environment}),
                start_new_session=True, preexec_fn=_default_signals,
            )  # fmt: skip
        self._started.append(process)

        def address() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            return LISTENING.search(log.read_text(encoding="utf-8"))

        return Server(process, f"http://{eventually(address, 60)[1]}", log)

    @property
    def reports(self) -> list[Report]:
        return self.sink.reports

    @property
    def counted(self) -> int:
        return self.sink.counted

    def close(self) -> None:
        """End whatever a test has left running."""
        for process in self._started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait(20)
        self.sink.close()


def _default_signals() -> None:
    """A background job of a shell ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Start servers, which end with the block."""
    started = Servers(folder)
    try:
        yield started
    finally:
        started.close()
