"""Raw HTTP over a socket, for requests that no library sends."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

from attrs import frozen

from scout_dashboard.collector import Collector


@frozen
class Answer:
    """Everything received until the collector closed the connection; status 0 for nothing."""

    status: int
    headers: dict[str, str]
    body: bytes


def head(
    collector: Collector, *more: str, method: str = "POST", path: str = "/api/v1/reports", token: str | None = None
) -> bytes:
    """Return the head of a request with a report; ``more`` are header lines."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{collector.port}",
        f"Authorization: Bearer {collector.token if token is None else token}",
        "Content-Type: application/json",
        "Connection: close",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(collector: Collector, *parts: bytes, half_close: bool = False, timeout: float = 20.0) -> Answer:
    """Send the parts, optionally half-close, and read until the collector closes the connection."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=timeout) as connection:
        _send(connection, parts)
        if half_close:
            with suppress(OSError):  # already closed by the server
                connection.shutdown(socket.SHUT_WR)
        return parse(_received(connection))


def parse(raw: bytes) -> Answer:
    """Parse the first response."""
    top, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    words = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(words[1]) if len(words) > 1 else 0, headers, body)


def _send(connection: socket.socket, parts: Iterable[bytes]) -> None:
    for part in parts:
        try:
            connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return  # the server closed the connection; its response shows why


def _received(connection: socket.socket) -> bytes:
    raw = b""
    while True:
        try:
            chunk = connection.recv(65_536)
        except ConnectionResetError:
            return raw
        if not chunk:
            return raw
        raw += chunk
