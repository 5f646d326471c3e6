"""A network of its own for a suite: every port is free, and nothing reaches another machine. Linux only."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NEW_NETWORK: Final = 0x40000000
"""CLONE_NEWNET of ``<sched.h>``; ``os.unshare`` needs Python 3.12."""
_GET_FLAGS, _SET_FLAGS, _IS_UP = 0x8913, 0x8914, 1
"""SIOCGIFFLAGS, SIOCSIFFLAGS and IFF_UP of ``<linux/sockios.h>`` and ``<net/if.h>``."""
_OWN: Final = "/proc/thread-self/ns/net"


@contextmanager
def own_network() -> Iterator[None]:
    """
    Move the calling thread, and the processes that it starts, into a new network, which has only the loopback device.

    Raises:
        OSError: nothing has changed: this process may not do so, or the system has no such networks.
    """
    with open(_OWN, "rb") as before:
        libc = ctypes.CDLL(None, use_errno=True)
        _check(libc.setns(before.fileno(), _NEW_NETWORK))  # where root is mapped to a user, there would be no way back
        _check(libc.unshare(_NEW_NETWORK))
        try:
            _set_up("lo")
            yield
        finally:
            _check(libc.setns(before.fileno(), _NEW_NETWORK))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _set_up(device: str) -> None:
    import fcntl  # which Windows lacks

    name = device.encode("ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, _GET_FLAGS, struct.pack("16sH14x", name, 0))
        (flags,) = struct.unpack_from("16xH", answer)
        fcntl.ioctl(asked, _SET_FLAGS, struct.pack("16sH14x", name, flags | _IS_UP))
