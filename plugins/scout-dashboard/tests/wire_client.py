"""Raw HTTP over a socket, for requests that no library would send."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

from attrs import frozen

from scout_dashboard.collector import Collector


@frozen
class Answer:
    """What came back until the collector closed; status 0 when nothing did."""

    status: int
    headers: dict[str, str]
    body: bytes


def head(
    collector: Collector, *more: str, method: str = "POST", path: str = "/api/v1/reports", token: str | None = None
) -> bytes:
    """The head of a report's request; ``more`` are header lines."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{collector.port}",
        f"Authorization: Bearer {collector.token if token is None else token}",
        "Content-Type: application/json",
        "Connection: close",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(collector: Collector, *parts: bytes, then_end: bool = False, patience: float = 20.0) -> Answer:
    """Send the parts, stop sending if asked, and read until the collector closes."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=patience) as connection:
        _send(connection, parts)
        if then_end:
            with suppress(OSError):  # closed on us already
                connection.shutdown(socket.SHUT_WR)
        return parse(_received(connection))


def parse(raw: bytes) -> Answer:
    """The first answer in it."""
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
            return  # closed on us: what came back says why


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
