"""What ``scout-core up`` does while the collector serves: waits for a signal, or for an application."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

import click
from attrs import define

LAST_REPORT_SECONDS: Final = 0.5
"""An application sends its last report before it ends; processes that it leaves behind have this long."""
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@define
class Signals:
    """The signals that would end this command: they wake who waits, or go to the application."""

    _wake: int
    _woken: int
    _first: int | None = None
    _child: subprocess.Popen[bytes] | None = None

    def wait(self) -> None:
        """Return when there was one."""
        os.read(self._woken, 1)

    def hand_to(self, child: subprocess.Popen[bytes]) -> None:
        """From now on they are the application's; also the one that came before it."""
        self._child = child
        if self._first is not None:
            child.send_signal(self._first)

    def handle(self, number: int, _: FrameType | None) -> None:
        """The handler."""
        if self._child is None:
            self._first = number
            os.write(self._wake, b".")  # a lock would not do: the thread that waits is the one that is interrupted
        elif number != signal.SIGINT or not _is_in_foreground():
            # A terminal sends Ctrl-C to the application as well: a second one would cut its orderly end short.
            self._child.send_signal(number)


@contextmanager
def ending_signals() -> Iterator[Signals]:
    """Take SIGINT, SIGTERM and SIGHUP over for the length of a ``with``. In the main thread alone."""
    woken, wake = os.pipe()
    signals = Signals(wake, woken)
    before = {number: signal.signal(number, signals.handle) for number in _ENDING}
    try:
        yield signals
    finally:
        for number, former in before.items():
            signal.signal(number, former)
        os.close(woken)
        os.close(wake)


def run_beside(command: Sequence[str], signals: Signals, *, state_dir: Path) -> int:
    """
    Run an application under the agent until it ends.

    Returns:
        Its exit code; as shells have it, 128 and the signal that killed it, 127 when there is no such command.
    """
    from scout_core.cli.run import environment

    try:
        # To run what the user wrote is the point.
        child = subprocess.Popen(command, env={**environment(os.environ), "SCOUT_STATE_DIR": str(state_dir.resolve())})  # noqa: S603
    except OSError as error:
        click.echo(f"scout-core: cannot run {command[0]!r}: {error.strerror}", err=True)
        return 127 if isinstance(error, FileNotFoundError) else 126
    signals.hand_to(child)
    code = child.wait()
    Event().wait(LAST_REPORT_SECONDS)
    return code if code >= 0 else 128 - code


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False  # there is none
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
