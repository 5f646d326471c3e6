"""An error that nobody has foreseen does not end accepting: it is counted, logged once, and the next connections are served."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Callable
from contextlib import suppress

import pytest
from sample_reports import report
from visitor import visitor_of
from wire_client import exchange, head

from scout_core.sending import wire
from scout_dashboard import serving
from scout_dashboard.collector import Collector
from scout_dashboard.connections import Connection
from scout_dashboard.serving import Server

FAILURES = 3
PATIENCE = 60.0


def failing_at_first(function: Callable[..., object], error: BaseException) -> Callable[..., object]:
    """Raise an error in the first calls; a coroutine function stays one."""
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) <= FAILURES:
            raise error

    async def asynchronous(*args: object, **named: object) -> object:
        check()
        return await function(*args, **named)  # type: ignore[misc]

    def plain(*args: object, **named: object) -> object:
        check()
        return function(*args, **named)

    return asynchronous if asyncio.iscoroutinefunction(function) else plain


def wait_for_failures(collector: Collector, part: str, name: str) -> dict[str, object]:
    """Connect until all failures have happened; return what the health page counts."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", collector.port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            connection.recv(1)
        facts = collector.queries.health()["collector"]
        if facts[part].get(name, 0) >= FAILURES:
            return facts
        assert time.monotonic() < deadline, facts


def is_serving(collector: Collector) -> bool:
    body = wire.encode(report(end=time.time()))
    status = exchange(collector, head(collector, f"Content-Length: {len(body)}"), body).status
    return (202, 200) == (status, visitor_of(collector).ask("/health")[0])


@pytest.mark.parametrize(
    "owner, method, error, name",
    [
        (Server, "_make_room", RuntimeError("changed size"), "RuntimeError"),
        (Server, "_make_room", OSError(errno.EINVAL, "Invalid argument"), "EINVAL"),
        (Server, "_starting_of", KeyError("gone"), "KeyError"),
        (BaseSelectorEventLoop, "sock_accept", ValueError("not in the selector"), "ValueError"),
        (BaseSelectorEventLoop, "sock_accept", OSError("without a number"), "OSError"),
        (BaseSelectorEventLoop, "sock_accept", OSError(errno.ENOBUFS, "No buffer space"), "ENOBUFS"),
        (BaseSelectorEventLoop, "sock_accept", MemoryError(), "MemoryError"),
    ],
)
def test_accepting_goes_on_after_any_error(tmp_path, monkeypatch, caplog, owner, method, error, name):
    monkeypatch.setattr(serving, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(owner, method, failing_at_first(getattr(owner, method), error))
    with caplog.at_level(logging.INFO), Collector.running(state_dir=tmp_path) as collector:
        facts = wait_for_failures(collector, "not_accepted", name)
        assert is_serving(collector)
        text = visitor_of(collector).page("/health").text

    assert {name: FAILURES} == facts["not_accepted"]
    assert 1 == sum("cannot accept connections" in record.message for record in caplog.records)
    assert "Connections could not be accepted" in text


@pytest.mark.parametrize(
    "owner, method",
    [
        (BaseSelectorEventLoop, "connect_accepted_socket"),
        (Connection, "_start_timer"),
        (Connection, "data_received"),
        (Connection, "_take_turn"),
    ],
)
def test_a_connection_that_fails_is_counted_and_the_first_is_logged_in_one_line(
    tmp_path, monkeypatch, caplog, owner, method
):
    monkeypatch.setattr(owner, method, failing_at_first(getattr(owner, method), ZeroDivisionError("a bug")))
    with caplog.at_level(logging.INFO), Collector.running(state_dir=tmp_path) as collector:
        wait_for_failures(collector, "dropped_connections", "internal error")
        assert is_serving(collector)

    messages = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [
        "a connection could not be served: ZeroDivisionError: a bug; the page Health counts further ones"
    ] == messages
    assert not any(record.exc_info for record in caplog.records)
