"""Helpers for tests of measuring and sending: reports, exporters, servers on real sockets, and applications in their own processes."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from types import FrameType, ModuleType
from typing import Any

from attrs import evolve, field, frozen

from scout_core import hookimpl, transaction
from scout_core import running as running_agent
from scout_core.agent import Agent
from scout_core.config.config import read_config
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.process import Process
from scout_core.measuring.report import KindMetrics, Report, TransactionMetrics
from scout_core.recording.transaction import Transaction
from scout_core.sending.rendezvous import CollectorAddress, announce
from scout_core.sending.wire import decode

POLICIES = ("age", "percent", "percentile", "speed")
TOKEN = "token-of-the-sink"


def acting_at(line: int, folder: str, act: Callable[[int], object]) -> Callable[..., Any]:
    """Return a trace function for ``sys.settrace`` that acts at the nth line executed in a folder, whose number it passes on."""
    left = line

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(folder):
            return None
        if event == "line":
            left -= 1
            if not left:
                act(frame.f_lineno)
        return trace

    return trace


def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for a condition, and return its result; AssertionError when it is not true in time."""
    never = threading.Event()
    deadline = monotonic() + seconds
    while not (result := condition()):
        assert monotonic() < deadline, f"not true within {seconds} s"
        never.wait(0.005)
    return result


def sample_report(number: int = 1, *, transactions: int = 1, **changes: Any) -> Report:
    """Return a small report with a number of transactions of a single name."""
    durations = Histogram()
    for _ in range(transactions):
        durations.add(0.1)
    process = Process(
        app="Shop", hostname="test", pid=1, instance="0123456789abcdef", started=1e9, agent="0", python="3", revision=""
    )
    metrics = TransactionMetrics(
        name="Controller/home",
        count=transactions,
        errors=0,
        total=0.1 * transactions,
        durations=durations,
        kinds={"Controller": KindMetrics(count=transactions, errors=0, total=0.1, exclusive=0.1)},
    )
    report = Report(
        id=f"0123456789abcdef-{number}",
        process=process,
        start=1e9,
        end=1e9 + 60,
        transactions=(metrics,),
        traces=(),
        plugins=(),
        counters={},
    )
    return evolve(report, **changes)


def counted(reports: list[Report]) -> int:
    """Return the number of transactions in the aggregates of these reports."""
    return sum(metrics.count for report in reports for metrics in report.transactions)


def record_lasting(
    operation: str, seconds: float = 0.1, *, failing: type[Exception] | None = None, **tags
) -> Transaction:
    """Record a transaction with a given duration, and return it."""
    recorded = transaction(operation, **tags)
    try:
        with recorded:
            if failing is not None:
                raise failing
    except Exception as error:
        if type(error) is not failing:
            raise
    recorded.stop_ns = recorded.start_ns + round(seconds * 1e9)
    return recorded


class Keeper:
    """An exporter that keeps every report."""

    def __init__(self, name: str = "keeper") -> None:
        self.name = name
        self.reports: list[Report] = []

    def export(self, report: Report) -> float | None:
        self.reports.append(report)
        return None

    @property
    def counted(self) -> int:
        return counted(self.reports)


class Behaving(Keeper):
    """An exporter that calls a function with each report before it keeps the report."""

    def __init__(self, name: str, behave: Callable[[Report], Any]) -> None:
        super().__init__(name)
        self.behave = behave

    def export(self, report: Report) -> float | None:
        answer = self.behave(report)
        self.reports.append(report)
        return answer


def plugin(name: str = "test_plugin", **hooks: Callable[..., Any]) -> ModuleType:
    """Return a module that is a plugin with these hooks."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return module


def exporting(*exporters: Any) -> ModuleType:
    """Return a plugin that registers these exporters."""
    return plugin("test_exporters", register_exporters=lambda: list(exporters))


@contextmanager
def running(*plugins: ModuleType, threaded: bool = True, **settings: Any) -> Iterator[Agent]:
    """Run the agent of this process with the four policies and these plugins, but no other installed plugins."""
    defaults: dict[str, Any] = {
        "plugins_autoload": False, "plugins_enable": POLICIES, "slow_hook_seconds": 60.0, "hostname": "test",
    }  # fmt: skip
    agent = Agent(read_config({**defaults, "plugins": plugins, **settings}, environment={}))
    before = running_agent.use(agent)
    agent.start(threaded=threaded)
    try:
        yield agent
    finally:
        agent.stop()
        running_agent.use(before)


def is_balanced(agent: Agent, exporter: str) -> bool:
    """Whether ``finished = exported + queued + dropped`` now."""
    counters = agent.counters(exporter)
    return counters.finished == counters.exported + counters.queued + sum(counters.dropped.values())


class CollectorSink:
    """A server that receives reports as a collector does: over HTTP, with a token."""

    def __init__(self, next_report: float | None = None) -> None:
        self.reports: list[Report] = []
        self.refused = 0
        self._next_report = next_report
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                accepted = self.headers["Authorization"] == f"Bearer {TOKEN}" and self.path == "/api/v1/reports"
                answer = b'{"accepted": true}' if accepted else b'{"error": "invalid token"}'
                if accepted:
                    sink.accept(decode(body))
                    if sink._next_report is not None:
                        answer = b'{"accepted": true, "next_report": %r}' % sink._next_report
                else:
                    sink.refused += 1
                self.send_response(202 if accepted else 401)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass  # requests would clutter the output of a failing test

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def accept(self, report: Report) -> None:
        """Keep a report, before the answer is sent."""
        self.reports.append(report)

    @property
    def counted(self) -> int:
        return counted(self.reports)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Sink:
    """A server that calls a function with each connection, on its own thread. An OSError closes that connection."""

    def __init__(self, behave: Callable[[socket.socket], None] | None) -> None:
        """Listen; with ``None``, only the operating system accepts connections, and nothing is read."""
        self._behave = behave
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [] if behave is None else [threading.Thread(target=self._accept)]
        for thread in self._threads:
            thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        assert self._behave is not None
        with connection:
            try:
                self._behave(connection)
            except OSError:
                return

    def close(self) -> None:
        self.closing.set()
        if self._threads:
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Read and return a complete request with a ``Content-Length``."""
    with connection.makefile("rb") as file:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                raise OSError("the request ended early")
            head += line
        length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        return head + file.read(length)


def answering(answer: bytes) -> Callable[[socket.socket], None]:
    """Return a function for a sink: read the request, send an answer, and close."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return behave


@frozen
class Ended:
    """The result of an application that ran in its own process."""

    code: int
    out: str
    err: str
    seconds: float = field(eq=False)


def run_app(source: str, state_dir: Path, *, seconds: float = 40.0, **environment: str) -> Ended:
    """
    Run a script to its end, with warnings as errors.

    Raises:
        AssertionError: it takes longer than ``seconds``; the message has the stack of every thread in it and its children.
    """
    script = state_dir.parent / f"app_{len(list(state_dir.parent.iterdir()))}.py"
    script.write_text(textwrap.dedent(source), encoding="utf-8")
    begin = monotonic()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", str(script)],
        env=environment_for(state_dir, **environment),
        cwd=state_dir.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its forked children can be ended with it
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)  # faulthandler is on
        out, err = process.communicate(timeout=10)
        raise AssertionError(f"it did not end within {seconds} s\n{out}\n{err}") from None
    return Ended(process.returncode, out, err, monotonic() - begin)


def environment_for(state_dir: Path, **more: str) -> dict[str, str]:
    """Return the environment of the tests without their settings, and with only the built-in plugins."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "PYTEST_", "COV_"))}
    enabled = ",".join((*POLICIES, "collector", "shutdown"))
    ours = {
        "SCOUT_STATE_DIR": str(state_dir), "SCOUT_PLUGINS_AUTOLOAD": "false", "SCOUT_PLUGINS_ENABLE": enabled,
        "PYTHONFAULTHANDLER": "1",
    }  # fmt: skip
    return {**kept, **ours, **more}


def announced(state_dir: Path, url: str) -> None:
    """Announce a sink to the agents with this state directory."""
    announce(state_dir, CollectorAddress(url=url, token=TOKEN, pid=os.getpid()))


def write_modules(folder: Path, **sources: str) -> None:
    """Write modules by name, and let Python see them."""
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    importlib.invalidate_caches()
