"""The private socket: agents of this user send reports there, and nobody else can connect, so nobody else can fill it."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from scout_core.errors import ScoutError
from scout_core.private_files import private_directory

FILE_NAME: Final = "collector.sock"
_LONGEST_PATH: Final = 107 if sys.platform == "linux" else 103
"""Bytes that the kernel's address of a socket holds."""


@frozen
class PrivateSocket:
    """A socket in the file system that listens, or the reason why it is missing."""

    listening: socket.socket | None
    path: str | None
    """Absolute; None when it is missing."""
    problem: str = ""
    """Why it is missing; agents then send reports over TCP."""


@contextmanager
def private_socket(state_dir: Path, *, queue: int) -> Iterator[PrivateSocket]:
    """
    Listen on a socket in the state directory, or in a short directory of this user if that path is too long.

    Whatever has its path is replaced: a socket of a collector that was killed, a file, a link, whose target is not touched.

    Args:
        queue: number of connections that wait in the kernel.
    """
    try:
        path = _path(state_dir)
        listening = _listen(path, queue)
        identity = _identity(path)
    except (OSError, ScoutError, AttributeError) as error:  # AttributeError: not on this system
        yield PrivateSocket(None, None, f"no private socket: {error}")
        return
    try:
        with listening:
            yield PrivateSocket(listening, str(path))
    finally:
        with suppress(OSError):
            if _identity(path) == identity:
                path.unlink()


def _path(state_dir: Path) -> Path:
    path = private_directory(state_dir).absolute() / FILE_NAME
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    folder = private_directory(Path(tempfile.gettempdir(), f"scout-core-{os.getuid()}"), advice="set TMPDIR")
    return folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"


def _listen(path: Path, queue: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    draft = path.with_name(f".{os.urandom(4).hex()}")
    try:
        listening.bind(str(draft))
        os.chmod(draft, 0o600)  # before it listens, so nobody can have connected
        os.replace(draft, path)
        listening.listen(queue)
    except OSError:
        listening.close()
        draft.unlink(missing_ok=True)
        raise
    return listening


def _identity(path: Path) -> tuple[int, int]:
    facts = path.lstat()
    return facts.st_dev, facts.st_ino
