"""
Real servers for the tests of plugins: ``with redis_server() as url``, ``with postgres_server() as url``.

Each is a private process on a free port of 127.0.0.1 with its data in a folder of its own, so start it in a fixture of the session's
scope, and give each test a database or a prefix of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Final
from unittest import SkipTest

START_SECONDS: Final = 30.0
"""Longest wait for a server to listen."""
END_SECONDS: Final = 10.0
"""Longest wait for a server to end after it was asked to; then it is killed."""
ATTEMPTS: Final = 3
"""Starts, in case another process takes the port that was free."""
_RABBITMQ_FOLDER: Final = "/usr/lib/rabbitmq/bin"
_POSTGRES_FOLDERS: Final = "/usr/lib/postgresql/*/bin"
"""Debian's folders, one for each version, which are not on ``PATH``."""
_POSTGRES_SETTINGS: Final = (
    "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
    "shared_buffers=16MB",
)  # fmt: skip
"""Settings of the server: no socket but the port, and nothing that protects data from a crash, which takes time."""


@contextmanager
def redis_server(*options: str, port: int | None = None) -> Iterator[str]:
    """
    Start ``redis-server``, and end it; the value is its URL. ``SCOUT_TEST_REDIS_URL`` is used instead when it is set.

    Args:
        options: further arguments of its command, such as ``"--cluster-enabled", "yes"``.
        port: the port of 127.0.0.1 on which it listens; None: a free one. With options or a port, always start one.

    Raises:
        unittest.SkipTest: it is not installed; unittest and pytest then skip the test.
        RuntimeError: it does not start; with what it has printed.
    """
    given = os.environ.get("SCOUT_TEST_REDIS_URL")
    if given and not options and port is None:
        yield given
        return
    program = installed("redis-server", package="redis-server")

    def command(port: int, folder: Path) -> Sequence[str]:
        settings = [
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--dir",
            str(folder),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        return [program, *settings, *options]

    with running(command, port=port) as listening:
        yield f"redis://127.0.0.1:{listening}/0"


@contextmanager
def postgres_server(*options: str, port: int | None = None) -> Iterator[str]:
    """
    Start PostgreSQL, and end it; the value is the URL of a superuser. ``SCOUT_TEST_POSTGRES_URL`` is used instead when it is set.

    Args:
        options: further arguments of its command, such as ``"-c", "max_prepared_transactions=5"``.
        port: as that of ``redis_server``.

    It refuses to run as root, so root starts it as the user ``postgres``, or ``nobody`` where that does not exist.
    Open connections are closed when it ends.

    Raises:
        unittest.SkipTest: it is not installed.
        RuntimeError: it does not start; with what it has printed.
    """
    given = os.environ.get("SCOUT_TEST_POSTGRES_URL")
    if given and not options and port is None:
        yield given
        return
    programs = [installed(name, package="postgresql", folders=_POSTGRES_FOLDERS) for name in ("initdb", "postgres")]
    password, user = secrets.token_hex(16), _unprivileged("postgres", "nobody")

    def command(port: int, folder: Path) -> Sequence[str]:
        data, file = folder / "data", folder / "password"
        file.write_text(password, encoding="ascii")
        initdb = [programs[0], "--pgdata", str(data), "--username=scout", f"--pwfile={file}", "--auth=scram-sha-256",
                  "--encoding=UTF8", "--locale=C", "--no-sync"]  # fmt: skip
        made = subprocess.run(initdb, user=user, cwd=folder, capture_output=True, check=False, timeout=START_SECONDS)  # noqa: S603  # the program that was found
        if made.returncode:
            raise RuntimeError(f"initdb fails: {made.stderr.decode(errors='replace')[-2_000:]}")
        settings = [part for setting in _POSTGRES_SETTINGS for part in ("-c", setting)]
        return [programs[1], "-D", str(data), "-p", str(port), *settings, *options]

    # SIGTERM would wait for clients that a failed test has left connected.
    with running(command, port=port, user=user, end=signal.SIGINT, ready=b"ready to accept connections") as listening:
        yield f"postgresql://scout:{password}@127.0.0.1:{listening}/postgres"


@contextmanager
def rabbitmq_server() -> Iterator[str]:
    """
    Start RabbitMQ, and end it; the value is its URL. ``SCOUT_TEST_AMQP_URL`` is used instead when it is set.

    It takes about five seconds, and 130 MB. Its name server, which it would start and leave behind, is started and ended with it.

    Raises:
        unittest.SkipTest: it is not installed.
        RuntimeError: it does not start; with what it has printed.
    """
    given = os.environ.get("SCOUT_TEST_AMQP_URL")
    if given:
        yield given
        return
    # Debian's command on ``PATH`` changes to a user who cannot write to our folder.
    program = shutil.which("rabbitmq-server", path=_RABBITMQ_FOLDER) or installed(
        "rabbitmq-server", package="rabbitmq-server"
    )
    names = installed("epmd", package="rabbitmq-server")
    local = "ERL_EPMD_ADDRESS=127.0.0.1"
    with running(lambda port, folder: ["env", local, names, "-port", str(port)]) as names_port:

        def command(port: int, folder: Path) -> Sequence[str]:
            variables = {
                "HOME": folder, "ERL_EPMD_PORT": names_port, "RABBITMQ_NODENAME": f"scout{port}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": port, "RABBITMQ_DIST_PORT": free_port(),
                "RABBITMQ_MNESIA_BASE": folder, "RABBITMQ_LOG_BASE": folder, "RABBITMQ_PID_FILE": folder / "pid",
                "RABBITMQ_CONFIG_FILE": folder / "none", "RABBITMQ_CONF_ENV_FILE": folder / "none",
                "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
                "RABBITMQ_ALLOW_INPUT": "true",  # the command becomes the server, which a signal ends
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
            }  # fmt: skip
            return ["env", local, *(f"{name}={value}" for name, value in variables.items()), program]

        with running(command, seconds=3 * START_SECONDS) as listening:
            yield f"amqp://guest:guest@127.0.0.1:{listening}//"


def installed(program: str, *, package: str, folders: str | None = None) -> str:
    """
    Return the path of a program.

    Args:
        folders: a pattern of folders to search after ``PATH``, such as ``/usr/lib/postgresql/*/bin``; the last match is used.

    Raises:
        unittest.SkipTest: it is not installed; the message has the Debian package to install.
    """
    path = shutil.which(program)
    if path is None and folders is not None:
        path = shutil.which(program, path=os.pathsep.join(sorted(glob(folders), reverse=True)))
    if path is None:
        raise SkipTest(f"needs {program}: apt install {package}")
    return path


@contextmanager
def running(
    command: Callable[[int, Path], Sequence[str]],
    *,
    port: int | None = None,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
    ready: bytes = b"",
    seconds: float = START_SECONDS,
) -> Iterator[int]:
    """
    Start a server on a free port, and end it by its process id; the value is the port, on which it listens.

    Args:
        command: returns the command, given the port and an empty folder for its data.
        port: the port to use; None: a free one.
        user: the owner of that folder and of the process, for a server that refuses to run as root.
        end: the signal that ends it.
        ready: what a server prints when it is ready, if it listens before that.
        seconds: the longest wait for it to listen.

    Raises:
        RuntimeError: it does not start, with what it has printed; or another server listens on that port.
    """
    if port is not None and _accepts(port):
        raise RuntimeError(f"another server listens on port {port} of 127.0.0.1; end it first")
    with tempfile.TemporaryDirectory(prefix="scout-server-") as name:
        for attempt in range(ATTEMPTS):
            folder = Path(name, str(attempt))
            folder.mkdir()
            if user is not None:
                Path(name).chmod(0o711)
                shutil.chown(folder, user)
            used, log = port or free_port(), folder / "log"
            arguments = command(used, folder)
            with log.open("wb") as output:
                process = subprocess.Popen(  # noqa: S603  # a server that the test has asked for
                    arguments, user=user, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            try:
                if _listens(process, used, seconds) and _has_printed(process, ready, log):
                    yield used
                    return
            finally:
                _end(process, end)
        raise RuntimeError(f"{arguments[0]} does not start: {log.read_text(errors='replace')[-2_000:]}")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _unprivileged(*users: str) -> str | None:
    """Return the first of these users that exists, for root; None: this process is not root's."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in users if user in names), None)


def _listens(process: subprocess.Popen[bytes], port: int, seconds: float) -> bool:
    # With a process that has ended, the port is another one's.
    return _comes_true(lambda: _accepts(port) and process.poll() is None, process, seconds)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _has_printed(process: subprocess.Popen[bytes], text: bytes, log: Path) -> bool:
    return _comes_true(lambda: text in log.read_bytes(), process)


def _comes_true(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = START_SECONDS
) -> bool:
    """Whether a condition is met before the process ends, or has taken too long."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes], by: signal.Signals) -> None:
    process.send_signal(by)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
