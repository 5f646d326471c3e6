"""Run a test suite that may never end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

STACKS_SECONDS = 10.0
"""Longest wait for the processes to print their stacks; then they are killed."""
ENDINGS = (0, 1)
"""Exit statuses after a complete run: all tests passed, or some failed."""


class Unfinished(Exception):
    """A run did not end, or not as pytest ends; the message has the test that ran."""


def run_limited(command: Sequence[str], outcomes: Path, seconds: float, *, cwd: Path, env: Mapping[str, str]) -> None:
    """
    Run pytest, or a program with tests, with ``--scout-outcomes``, in a process group of its own.

    At the time limit its processes get SIGABRT, at which ``python -X faulthandler`` prints the stack of each thread.

    Raises:
        Unfinished: it did not end, and its processes were killed; or it was interrupted, or ran no test.
    """
    before = signal.signal(signal.SIGTERM, _exit)
    process = subprocess.Popen(command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STACKS_SECONDS)
        raise Unfinished(f"it did not end within {seconds:,g} s: {_progress(outcomes)}") from None
    finally:
        with suppress(ProcessLookupError):  # nothing is left of the group
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        signal.signal(signal.SIGTERM, before)
    if status not in ENDINGS or not outcomes.exists():
        raise Unfinished(f"the tests exited with {status}: {_progress(outcomes)}")


def _exit(number: int, frame: FrameType | None) -> None:
    """Exit, which ends the group; a second signal does not interrupt that."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _progress(outcomes: Path) -> str:
    """Return how far a run came; ``scout_core.testing.upstream.outcomes`` writes which tests run."""
    if outcomes.exists():
        return f"{outcomes.stem}, after the last test"
    running = outcomes.with_name(f"{outcomes.name}.running")
    if not running.exists():
        return f"{outcomes.stem}, before the first test"
    return f"{outcomes.stem}, at {running.read_text(encoding='utf-8')}"
