"""Waits for a signal, or runs an application, while the collector serves ``scout-core up``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

import click
from attrs import define

from scout_core.errors import ScoutError

LAST_REPORT_SECONDS: Final = 0.5
"""Time for the last reports of processes that outlive the application."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@define
class Signals:
    """The signals that would end this command: they end ``wait``, or are forwarded to the application."""

    _write_end: int
    _read_end: int
    _first: int | None = None
    _child: subprocess.Popen[bytes] | None = None

    @property
    def has_arrived(self) -> bool:
        """Whether one has arrived before the application started."""
        return self._first is not None

    def wait(self) -> None:
        """Block until a signal arrives."""
        os.read(self._read_end, 1)

    def forward_to(self, child: subprocess.Popen[bytes]) -> None:
        """Forward signals to the application, including one that arrived before it started."""
        self._child = child
        if self._first is not None:
            child.send_signal(self._first)

    def handle(self, number: int, _: FrameType | None) -> None:
        """Handle a signal."""
        if self._child is None:
            self._first = number
            os.write(self._write_end, b".")  # not a lock: the handler interrupts the same thread that waits
        elif number != signal.SIGINT or not _is_in_foreground():
            # The terminal sends Ctrl-C to the application too: a second SIGINT would interrupt its shutdown.
            self._child.send_signal(number)


@contextmanager
def termination_signals() -> Iterator[Signals]:
    """Handle SIGINT, SIGTERM and SIGHUP for the duration of a ``with`` block; main thread only."""
    read_end, write_end = os.pipe()
    signals = Signals(write_end, read_end)
    original = {number: signal.signal(number, signals.handle) for number in _SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in original.items():
            signal.signal(number, handler)
        os.close(read_end)
        os.close(write_end)


def reason_of(error: Exception) -> str:
    """Return the reason for a message of one line."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    return str(error) if isinstance(error, ScoutError) else f"{type(error).__name__}: {error}"


def print_line(line: str) -> None:
    """Print to standard error, beside an application; it may be closed, or a file on a full disk, which must not stop anything."""
    from scout_core.cli.output import echo

    try:
        echo(line, err=True)
    except (OSError, ValueError):
        # The rest of its buffer would fail again at the end, and change the exit code.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # until the process ends


def run_application(
    command: Sequence[str],
    signals: Signals,
    *,
    state_dir: Path,
    last_report_seconds: float = LAST_REPORT_SECONDS,
    inherited: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """
    Run an application with the agent until it exits.

    Args:
        last_report_seconds: how long to wait after it has exited, when we receive the reports.
        inherited: restores what the application inherits while it is started.

    Returns:
        Its exit code, or like a shell 128 plus the number of the signal that killed it, or 127 for an unknown command.
    """
    from scout_core.cli.run import environment

    # Not Path.resolve(), which raises for a link to itself.
    settings = {**environment(os.environ), "SCOUT_STATE_DIR": os.path.realpath(state_dir)}
    try:
        with inherited():
            child = subprocess.Popen(command, env=settings)  # noqa: S603  # running the user's command is the purpose
    except OSError as error:
        print_line(f"scout-core: cannot run {command[0]!r}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126
    signals.forward_to(child)
    code = child.wait()
    Event().wait(last_report_seconds)
    return code if code >= 0 else 128 - code


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False  # no terminal
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
