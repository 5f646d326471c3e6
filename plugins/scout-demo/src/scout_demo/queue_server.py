"""A private ``redis-server``, in which the jobs of the shop wait for the worker."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from scout_core.errors import ScoutError
from scout_demo.ending import end
from scout_demo.keeper import in_group

PROGRAM: Final = "redis-server"
MISSING: Final = (
    f"There are no jobs, because {PROGRAM} is not on the PATH; install the package redis-server, or redis, to see them."
)
_ATTEMPTS: Final = 3
"""Starts, in case another process takes the port that was free."""
_READY: Final = "Ready to accept connections"
_PATIENCE: Final = 10.0
"""Seconds that the server may take to exit; then it is killed."""


def find_server() -> str | None:
    """Return the path of ``redis-server``; None when it is not on the ``PATH``."""
    return shutil.which(PROGRAM)


@contextmanager
def running_redis(program: str, folder: Path, group: int) -> Iterator[str]:
    """
    Run the server for the duration of a ``with`` block, on a free port of the loopback interface; the value is its URL.

    Args:
        folder: for its files; it writes none unless it crashes.
        group: the process group of the server.

    Raises:
        ScoutError: it did not start; the message has the end of its output.
    """
    output = ""
    for _ in range(_ATTEMPTS):
        password, port = secrets.token_hex(16), _free_port()
        # Not in our process group, see `ending.py`.
        with subprocess.Popen(  # noqa: S603  # the program that was found
            [program, "-"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **in_group(group),
        ) as process:  # fmt: skip
            try:
                output = _started(process, port, password)
                if process.poll() is None:
                    yield f"redis://:{password}@127.0.0.1:{port}/0"
                    return
            finally:
                end(process, _PATIENCE)
    raise ScoutError(f"{PROGRAM} did not start; its last output: {output[-300:]}")


def _started(process: subprocess.Popen[str], port: int, password: str) -> str:
    """Wait until the server is ready, or has ended, and return its output."""
    # On its standard input, since other users can read arguments: with the password they could run code as this user.
    settings = f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\nappendonly no\n'
    if process.stdin is None or process.stdout is None:  # both are pipes
        return ""
    with suppress(BrokenPipeError):  # it has ended already, and its output has the reason
        process.stdin.write(settings)
        process.stdin.close()
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if _READY in line:
            break
    else:
        process.wait()
    return " / ".join(lines)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
