"""
Runs the command ``scout-core`` in forked copies of one process that has already imported it.

Each copy is a process of its own, so nothing that a command or a plugin does (modules, patches, environment, working
directory, threads) reaches the tests or the next command. It takes 30 ms of CPU time; a new interpreter takes 160 ms.
Run as a script, this file is that process: it reads one request per line of standard input, and answers with an exit
code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from signal import SIGABRT
from typing import Any, NoReturn

PRELOADED = ("http.client", "webbrowser")
"""Modules of the standard library that plugins import. Plugins themselves are not preloaded: tests see their import."""
TIMEOUT = 120.0
"""Seconds until a command that has not ended is aborted; its stack is then in the failure."""


class ForkServer:
    """The process that is copied for each command; started on first use."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], *, cwd: Path, env: dict[str, str]) -> tuple[int, str, str]:
        """Run ``scout-core`` to its end; return its exit code, standard output and standard error."""
        server = self._started()
        assert server.stdin is not None
        assert server.stdout is not None
        with tempfile.TemporaryDirectory(prefix="scout-") as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {"arguments": arguments, "cwd": str(cwd), "env": env, "out": str(out), "err": str(err)}
            server.stdin.write(json.dumps(request).encode() + b"\n")
            server.stdin.flush()
            is_ready, _, _ = select.select([server.stdout], [], [], TIMEOUT)
            if not is_ready:
                os.killpg(server.pid, SIGABRT)  # faulthandler is on
                self.close()
                raise AssertionError(f"{arguments} did not end within {TIMEOUT} s\n{err.read_text(errors='replace')}")
            code = int(server.stdout.readline())
            return code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")

    def close(self) -> None:
        """End the process; its standard input ends."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCOUT", "PYTHON"))}
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", __file__],
                env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # so that a command that hangs is aborted with what it started
            )
            atexit.register(self.close)
        return self._process


def main() -> None:
    """Fork for each request, until there are no more."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    installed = [path for path in sys.path if path != str(Path(__file__).parent)]
    import_command()
    for line in requests:
        child = os.fork()
        if child == 0:
            requests.detach().close()  # type: ignore[attr-defined]  # a BufferedReader
            answers.close()
            become_command(json.loads(line), installed)
        _, status = os.waitpid(child, 0)
        answers.write(b"%d\n" % os.waitstatus_to_exitcode(status))
        answers.flush()


def import_command() -> None:
    """Import what nearly every command needs."""
    from scout_core.cli import build

    build(with_plugins=False)
    for name in PRELOADED:
        import_module(name)
    gc.freeze()  # so that a collection in a copy touches only what is new there


def become_command(request: dict[str, Any], installed: list[str]) -> NoReturn:
    """Be ``python -m scout_core ARGUMENTS`` in this process, to its end."""
    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    ours = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = dict.fromkeys([request["cwd"], *ours, *installed])
    sys.argv[1:] = request["arguments"]
    runpy.run_module("scout_core", run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    main()
