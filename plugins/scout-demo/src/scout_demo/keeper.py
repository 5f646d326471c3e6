"""
Ends the processes of a demo that was killed, and removes its folder: ``python -m scout_demo.keeper FOLDER``.

SIGKILL, and the SIGHUP of a terminal that is closed, leave the demo no time to stop them itself. The keeper waits for the end of its
standard input, a pipe, which ends with the demo, however that ends. This works on every system, unlike a signal of the kernel at the end
of a parent, which only Linux has. The processes are in the keeper's process group, which a child joins before it closes its copy of
that pipe, so none of them is missed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from scout_demo.ending import PATIENCE

OWN: Final = 0
"""A new process group, which has the id of its first process."""


@contextmanager
def running_keeper(folder: Path) -> Iterator[int]:
    """
    Run a keeper for the duration of a ``with`` block; the value is the id of its process group.

    Args:
        folder: is removed at the end.
    """
    with subprocess.Popen(  # noqa: S603  # our own command
        [sys.executable, "-m", "scout_demo.keeper", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # not ours, which somebody may read to its end
        stderr=subprocess.DEVNULL,
        **in_group(OWN),
    ) as process:
        yield process.pid


def in_group(group: int) -> dict[str, Any]:  # Any: arguments of Popen
    """Return the arguments of ``Popen`` that start a process in a process group."""
    if sys.version_info >= (3, 11):
        return {"process_group": group}
    return {"preexec_fn": partial(os.setpgid, 0, group)}


def main(folder: str) -> None:
    """Wait for the end of the demo; then end what is left of it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which it sends to its group
    sys.stdin.read()
    end_group()
    shutil.rmtree(folder, ignore_errors=True)


def end_group() -> None:
    """Ask the other processes of this one's group to exit, and kill those that have not after a while."""
    import psutil

    os.killpg(os.getpgrp(), signal.SIGTERM)
    others = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == os.getpgrp() and process.pid != os.getpid():
                others.append(process)
    _, left = psutil.wait_procs(others, timeout=PATIENCE)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=PATIENCE)


if __name__ == "__main__":
    main(sys.argv[1])
