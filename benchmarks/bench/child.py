"""A process that is spoken to in lines of JSON over pipes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parent.parent
"""Where the package ``bench`` lies."""


class ChildFailed(Exception):
    """A process ended instead of answering; its own words are on stderr."""


def clean_environment(directory: Path) -> dict[str, str]:
    """
    That of this process, without settings that would reach an agent.

    Args:
        directory: no state from elsewhere is found, and every module is compiled once, whatever this process is told.
            Texts have the same hashes in all, so that the same dicts are equally fast.
    """
    own = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "OTEL_"))}
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **own,
        "XDG_STATE_HOME": str(directory),
        "PYTHONPYCACHEPREFIX": str(directory / "compiled"),
        "PYTHONHASHSEED": "0",
    }


class Child:
    """
    One module of ``bench`` as a process, until ``close``.

    Args:
        python: the interpreter of the environment that it runs in.
        directory: its working directory, where no configuration lies.
    """

    def __init__(self, python: Path, module: str, *arguments: str, directory: Path) -> None:
        self._name = f"{module} {' '.join(arguments)}"
        self._process = subprocess.Popen(
            [str(python), "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**clean_environment(directory), "PYTHONPATH": _path()},
        )
        try:
            self.first = self.read()
            """What it said when it was ready."""
        except ChildFailed:
            self.close()
            raise

    def read(self) -> dict[str, Any]:  # Any: each child answers in its own way
        """
        Its next line.

        Raises:
            ChildFailed: there is none.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self._name} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **order: object) -> dict[str, Any]:  # Any: each child answers in its own way
        """
        What it answers to an order.

        Raises:
            ChildFailed: it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildFailed(f"{self._name} ended with status {self._process.wait()}") from None
        return self.read()

    def close(self) -> None:
        """End it: gently, by ending its input, then not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:  # it is gone already
                continue
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_once(command: list[str], *, directory: Path) -> dict[str, Any]:  # Any: JSON
    """
    The one line of JSON that a short process says.

    Raises:
        ChildFailed: it failed.
    """
    done = subprocess.run(
        command, cwd=directory, env=clean_environment(directory), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise ChildFailed(f"{command[0]} ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _path() -> str:
    rest = os.environ.get("PYTHONPATH")
    return f"{BENCHMARKS}{os.pathsep}{rest}" if rest else str(BENCHMARKS)
