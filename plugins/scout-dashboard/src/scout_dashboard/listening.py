"""The TCP sockets of the collector: only on this machine, and on both of its loopback addresses."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import Final

from scout_dashboard.errors import CollectorError, PortInUse

PORT: Final = 7600
QUEUE: Final = 512
"""Connections that wait in the kernel to be accepted."""
_HOSTS: Final = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1", "[::1]": "::1"}
_OTHER_LOOPBACK: Final = {"127.0.0.1": "::1", "::1": "127.0.0.1"}
_PORTS_TRIED: Final = 20


class _NoSuchAddress(CollectorError):
    """This machine does not have the address."""


def loopback_address(host: str) -> str:
    """
    Return the address that a host name means.

    Raises:
        CollectorError: it is not a loopback address.
    """
    if host not in _HOSTS:
        raise CollectorError(
            f"cannot listen on {host}: the dashboard serves only this machine; use 127.0.0.1, and from another machine "
            f"forward the port: ssh -L {PORT}:127.0.0.1:{PORT} THIS-MACHINE"
        )
    return _HOSTS[host]


def bind_both(address: str, port: int) -> list[socket.socket]:
    """
    Listen on this loopback address and on the other one, if this machine has it.

    Browsers try ``::1`` before ``127.0.0.1`` for names below ``localhost``, so the port must not be another program's there.
    """
    for attempt in range(1, _PORTS_TRIED + 1):
        with ExitStack() as undo:
            sockets = [undo.enter_context(_bind(address, port))]
            try:
                sockets.append(undo.enter_context(_bind(_OTHER_LOOPBACK[address], sockets[0].getsockname()[1])))
            except _NoSuchAddress:
                pass
            except PortInUse:
                if port or attempt == _PORTS_TRIED:
                    raise
                continue
            undo.pop_all()
            return sockets
    raise AssertionError


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # With its protocol, as accepted sockets inherit that: asyncio lets only those of TCP send small parts at once, and without it
        # each response waits 40 ms for the client's acknowledgement.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _failure(error, address, port) from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # reuse a port whose last owner has just exited
    try:
        listening.bind((address, port))
        listening.listen(QUEUE)
    except OSError as error:
        listening.close()
        raise _failure(error, address, port) from error
    return listening


def _failure(error: OSError, address: str, port: int) -> CollectorError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"port {port} is in use by another program")
    kind = _NoSuchAddress if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) else CollectorError
    return kind(f"cannot listen on {address} port {port}: {error.strerror}")
