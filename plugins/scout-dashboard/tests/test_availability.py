"""Programs without a token cannot keep reports and pages out: neither with many connections, nor by not reading."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from sample_reports import report
from separate import separate, served
from strangers import stranger, unread
from visitor import visitor_of

from scout_core.sending import wire
from scout_dashboard import open_files
from scout_dashboard.collector import Collector
from scout_dashboard.open_files import Caps

PATIENCE = 60.0
REQUESTS = 25 if os.environ.get("TEST_SIZE") == "full" else 4


def dropped(collector: Collector) -> dict[str, int]:
    return collector.queries.health()["collector"]["dropped_connections"]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connect(collector: Collector, *, window: int = 0) -> socket.socket:
    connection = socket.socket()
    if window:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", collector.port))
    return connection


class Agent:
    """Sends reports on one connection."""

    def __init__(self, collector: Collector) -> None:
        self.collector, self.number = collector, 0
        self.connection = HTTPConnection("127.0.0.1", collector.port, timeout=PATIENCE)

    def send(self) -> int:
        self.number += 1
        headers = {"Authorization": f"Bearer {self.collector.token}", "Content-Type": "application/json"}
        body = wire.encode(report(end=time.time(), number=self.number))
        self.connection.request("POST", "/api/v1/reports", body=body, headers=headers)
        with self.connection.getresponse() as answer:
            answer.read()
            return answer.status


# reading


@pytest.mark.parametrize("ends", [False, True], ids=["more-to-come", "half-closed"])
def test_a_client_that_does_not_read_is_dropped(tmp_path, ends):
    with Collector.running(state_dir=tmp_path, read_seconds=0.2, write_seconds=0.2) as collector:
        with connect(collector, window=4096) as connection:
            connection.sendall(unread(collector.port))
            if ends:
                connection.shutdown(socket.SHUT_WR)
            eventually(lambda: {"too slow to read": 1} == dropped(collector))
            with pytest.raises(ConnectionResetError):
                while connection.recv(65_536):
                    pass

        assert "Dropped connections 1 too slow to read 1" in visitor_of(collector).page("/health").text


def test_a_client_that_is_invalid_after_a_request_and_does_not_read_is_dropped(tmp_path):
    """The connection closes after an invalid request, and would wait for what is not read."""
    with Collector.running(state_dir=tmp_path, write_seconds=0.2) as collector:
        with connect(collector, window=4096) as connection:
            connection.sendall(unread(collector.port) + b"\x00\r\n\r\n")
            eventually(lambda: {"too slow to read": 1} == dropped(collector))


def test_a_client_that_reads_everything_at_its_own_pace_is_served(collector):
    with connect(collector, window=65_536) as connection:
        connection.sendall(unread(collector.port))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(1_000_000):
            received += part

    assert 90 == received.count(b"HTTP/1.1 200")
    assert {} == dropped(collector)


@pytest.mark.parametrize("start", [b"POST /api/v1/rep", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_an_incomplete_request_is_counted(tmp_path, start):
    with Collector.running(state_dir=tmp_path, read_seconds=0.2) as collector:
        with connect(collector) as connection:
            connection.sendall(start)
            eventually(lambda: {"incomplete request": 1} == dropped(collector))


def test_an_idle_connection_is_closed_and_not_counted(tmp_path):
    with Collector.running(state_dir=tmp_path, read_seconds=0.2) as collector:
        with connect(collector) as connection:
            assert b"" == connection.recv(1)
        assert {} == dropped(collector)


# at the limit


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A collector that serves six connections at once, with enough time for each."""
    monkeypatch.setattr(open_files, "WANTED", Caps(tcp=6, private=6))
    with Collector.running(state_dir=tmp_path / "state", read_seconds=PATIENCE, write_seconds=PATIENCE) as running:
        yield running


def test_strangers_are_dropped_before_agents_and_readers(small):
    agent, visitor = Agent(small), visitor_of(small)
    cookie = {"Host": urlsplit(small.access.addresses.by_name).netloc, "Cookie": visitor.cookie}
    reader = HTTPConnection("127.0.0.1", small.port, timeout=PATIENCE)
    with ExitStack() as stack:
        stack.callback(agent.connection.close)
        stack.callback(reader.close)
        assert 202 == agent.send()
        statuses = []
        for _ in range(2):
            reader.request("GET", "/health", headers=cookie)
            with reader.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)
        sockets = agent.connection.sock, reader.sock
        strangers = [stack.enter_context(connect(small)) for _ in range(30)]
        eventually(lambda: {"idle at the limit": 26} == dropped(small))
        for oldest in strangers[:26]:
            with pytest.raises(ConnectionResetError):
                oldest.recv(1)
        reader.request("GET", "/health", headers=cookie)
        with reader.getresponse() as answer:
            answer.read()
            statuses.append(answer.status)

        assert 202 == agent.send()
        assert [200, 200, 200] == statuses
        assert sockets == (agent.connection.sock, reader.sock), "the same connections"


def test_the_reason_of_a_drop_is_what_the_client_has_not_done(small):
    with ExitStack() as stack:
        stack.enter_context(connect(small)).sendall(b"GET / HT")
        for _ in range(7):
            stack.enter_context(connect(small))
        eventually(lambda: {"incomplete request": 1, "idle at the limit": 1} == dropped(small))


def test_among_agents_the_longest_idle_makes_room(small):
    agents = [Agent(small) for _ in range(7)]
    with ExitStack() as stack:
        for agent in agents:
            stack.callback(agent.connection.close)
        assert [202] * 7 == [agent.send() for agent in agents]
        eventually(lambda: {"idle at the limit": 1} == dropped(small))
        first = agents[0].connection.sock
        with pytest.raises(ConnectionResetError):
            first.recv(1)


# attacks


@pytest.mark.parametrize("kind", ["idle", "half-a-request", "not-reading"])
def test_reports_and_pages_arrive_while_a_stranger_fills_all_connections(tmp_path, kind):
    with separate(tmp_path) as collector:
        connections, sent, window = {
            "idle": (460, b"", 0),
            "half-a-request": (460, b"GET / HTTP/1.1\r\nX-Slow: ", 0),
            "not-reading": (405, unread(collector.port), 4096),
        }[kind]
        visitor = collector.new_visitor()
        with stranger(collector.port, connections, sent, window=window):
            assert (REQUESTS, REQUESTS) == served(collector, visitor, REQUESTS)

        assert "" == collector.errors.read_text()


def test_a_limit_of_256_open_files_is_enough(tmp_path):
    with separate(tmp_path, files=256) as collector:
        visitor = collector.new_visitor()
        with stranger(collector.port, 320):
            assert (REQUESTS, REQUESTS) == served(collector, visitor, REQUESTS)

        assert "" == collector.errors.read_text()


# open files

LIMITED = """
import resource, sys, os
from pathlib import Path
from scout_dashboard.collector import Collector

with Collector.running(state_dir=Path(os.environ["SCOUT_STATE_DIR"])) as collector:
    print(collector.new_links().by_name, flush=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for line in sys.stdin:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft if line == "enough\\n" else int(line), hard))
        print("done", flush=True)
"""


def test_accepting_is_paused_without_files_and_goes_on_with_them(tmp_path):
    with separate(tmp_path, command=(sys.executable, "-c", LIMITED)) as collector, ExitStack() as stack:
        visitor = collector.new_visitor()
        assert (1, 1) == served(collector, visitor, 1)
        limit(collector, "5")
        waiting = [stack.enter_context(connect(collector)) for _ in range(40)]
        eventually(collector.errors.read_text)
        limit(collector, "enough")
        assert (1, 1) == served(collector, visitor, 1, first=2)
        facts, text = visitor.facts("/health")["collector"], visitor.page("/health").text

    assert 40 == len(waiting)
    assert ["EMFILE"] == list(facts["not_accepted"])
    assert ("not-accepted", "EMFILE") == (facts["accept_problem"]["kind"], facts["accept_problem"]["subject"])
    assert "cannot accept connections: Too many open files; raise the limit of open files" in text
    assert 1 == len(collector.errors.read_text().splitlines())


def limit(collector, files: str) -> None:
    collector.process.stdin.write(f"{files}\n")
    collector.process.stdin.flush()
    assert "done\n" == collector.process.stdout.readline()


CAPS = """
import json, resource, subprocess, sys
from scout_dashboard.open_files import raised_limit

before = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
with raised_limit(37) as files:
    during = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with files.inherited():
        child = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True, text=True, check=True).stdout
    print(json.dumps([during == files.limit, int(child) == before, files.caps.tcp, files.caps.private]))
assert before == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
"""


@pytest.mark.parametrize(
    "limits, caps",
    [
        ("ulimit -Sn 256; ulimit -Hn 256", [26, 13]),
        ("ulimit -Sn 256; ulimit -Hn 1024", [333, 166]),
        ("ulimit -Sn 256; ulimit -Hn 4096", [400, 200]),
        ("ulimit -Sn 64; ulimit -Hn 64", [8, 8]),
    ],
)
def test_the_limit_is_raised_as_far_as_allowed_and_children_inherit_the_former(limits, caps):
    ran = subprocess.run(
        ["sh", "-c", f'{limits}; exec "$@"', "sh", sys.executable, "-c", CAPS],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert [True, True, *caps] == json.loads(ran.stdout), ran.stderr
