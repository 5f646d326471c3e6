"""One HTTP POST that is over in time, whatever the other side does."""

from __future__ import annotations

from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from socket import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

TIMEOUT: Final = 5.0
"""Seconds to connect, and again to send."""
LONGEST_EXCHANGE: Final = 10.0
"""Seconds for all of it. The socket's own timeout starts again with each byte."""
MAX_ANSWER: Final = 65_536


def post(
    url: str, path: str, *, headers: Mapping[str, str], body: bytes, connected: socket | None = None
) -> tuple[int, bytes]:
    """
    Send it, follow no redirect.

    Args:
        connected: a connection to the server, which is used instead of a new one and is closed.

    Returns:
        Status, and the first 65,536 bytes of the answer.

    Raises:
        OSError: no connection, no answer in time, or one that is not HTTP.
        ValueError: the URL or a header cannot be used.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is not a URL such as http://127.0.0.1:7600")
    deadline = monotonic() + LONGEST_EXCHANGE
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT)
    connection.sock = connected
    connection.response_class = partial(_response, deadline)  # type: ignore[assignment]  # called like the class
    try:
        try:
            connection.request("POST", parts.path.rstrip("/") + path, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise
            # A server that refuses a body without reading all of it may have answered nevertheless.
        with connection.getresponse() as response:
            return response.status, response.read(MAX_ANSWER)
    except HTTPException as error:
        raise ConnectionError(f"{url} does not answer in HTTP: {type(error).__name__}") from error
    finally:
        connection.close()


def _response(deadline: float, connected: socket, *args: Any, **options: Any) -> HTTPResponse:  # Any: unused here
    return HTTPResponse(_Incoming(connected, deadline), *args, **options)  # type: ignore[arg-type]  # has what it uses


class _Incoming(RawIOBase):
    """
    The bytes that a socket receives until the deadline (monotonic seconds).

    A loop over ``response.read1()`` is not enough: ``http.client`` reads the status line and the headers itself, and a
    server that sends them byte by byte would never time out.
    """

    def __init__(self, connected: socket, deadline: float) -> None:
        self._socket = connected
        self._bytes = connected.makefile("rb", buffering=0)  # keeps it open when http.client closes it too early
        self._deadline = deadline

    def makefile(self, mode: str) -> BufferedReader:
        return BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError(f"no response within {LONGEST_EXCHANGE} s")
        self._socket.settimeout(left)
        return self._bytes.readinto(buffer) or 0  # None only for sockets that never wait

    def close(self) -> None:
        self._bytes.close()
        super().close()
