"""The end of the processes of the demo, which are in another process group: Ctrl-C reaches only us, and we stop them in order."""

from __future__ import annotations

import signal
import subprocess
from typing import Final

PATIENCE: Final = 20.0
"""Seconds that a process may take to exit; then it is killed."""


def end(process: subprocess.Popen[str], patience: float = PATIENCE) -> None:
    """Ask a process to exit, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
