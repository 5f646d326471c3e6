"""The collector's process, and a reader with a session, as a browser has it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from attrs import frozen


class RequestFailed(Exception):
    """A page was not answered with 200."""


@frozen
class Served:
    """A running collector."""

    url: str
    token: str
    headers: dict[str, str]
    """Host name, session and token: they open pages and the API."""
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process until now."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serve(state_dir: Path, data_dir: Path) -> Iterator[Served]:
    """Run a collector in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("server.py")), str(state_dir), str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        facts = json.loads(process.stdout.readline())
        yield Served(facts["url"], facts["token"], facts["headers"], psutil.Process(process.pid))
        process.stdin.close()


class Visitor:
    """Reads pages over one connection."""

    def __init__(self, served: Served) -> None:
        self._headers = served.headers
        address = urlsplit(served.url)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=120)

    def get(self, path: str) -> bytes:
        """
        Return a page.

        Raises:
            RequestFailed: its status is not 200.
        """
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RequestFailed(f"{path}: {answer.status} {body[:200]!r}")
        return body

    def seconds(self, path: str) -> float:
        """Read a page and return how long it took."""
        started = time.perf_counter()
        self.get(path)
        return time.perf_counter() - started
