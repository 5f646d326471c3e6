"""Connections to the collector on this machine, for requests that carry one of its tokens."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from scout_core.errors import ScoutError
from scout_core.private_files import irregularity, read_private
from scout_core.sending.rendezvous import LOCK_NAME, CollectorAddress

LOOPBACK: Final = ("127.0.0.1", "::1")
_UNIX: Final = getattr(socket, "AF_UNIX", -1)  # OSError where a system has none


def read_login_token(state_dir: Path) -> str:
    """
    Return the token that lets its owner read every answer of the collector.

    Raises:
        ScoutError: the file is missing or unusable.
    """
    from scout_core.sending.protocol import LOGIN_FILE  # not needed to send reports

    path = state_dir / LOGIN_FILE
    try:
        token = (read_private(path) or "").strip()
        fault = irregularity(path) or "it is missing, empty, or other users can read it"
    except OSError as error:
        token, fault = "", str(error.strerror)
    if token and not (token.isascii() and token.isprintable()):
        token, fault = "", "it is not a line of ASCII characters"
    if not token:
        raise ScoutError(f"cannot use the login token {path}: {fault}; restart the dashboard: scout-core up")
    return token


def connection_to(address: CollectorAddress, *, timeout: float) -> HTTPConnection:
    """
    Return a connection on which only the announced collector can answer.

    The announcement of a collector that was killed stays, and its port may be another program's by now, which must not get the
    token. Nobody else can listen on its private socket, so only that is used where it has one.

    Args:
        timeout: seconds, for each step.

    Raises:
        ConnectionError: the collector has ended.
        ValueError: the address is not on this machine.
    """
    parts = urlsplit(address.url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:  # the token must not leave this machine
        raise ValueError(f"{address.url} is not on this machine")
    connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    connection.sock = private_connection(address, timeout=timeout)
    return connection


def private_connection(address: CollectorAddress, *, timeout: float) -> socket.socket | None:
    """
    Return a connection to the private socket of a collector; None if it has none, and may be reached at its URL.

    Args:
        timeout: seconds, for each step.

    Raises:
        ConnectionError: the collector has ended.
        OSError: no socket can be made here: too many open files, or a system that has none of this kind.
    """
    path = address.private_socket
    if address.has_ended:
        raise ConnectionError(f"it has ended: no process has its lock, {LOCK_NAME}, any more")
    if path is None:
        return None
    private = socket.socket(_UNIX, socket.SOCK_STREAM)
    try:
        private.settimeout(timeout)
        private.connect(path)
    except (OSError, ValueError) as error:  # ValueError: a null character
        private.close()
        raise ConnectionError(f"it has ended, or its socket was removed: nobody listens at {path}") from error
    return private
