"""Processes that answer with lines of JSON over pipes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parent.parent
"""The folder with the package ``bench``."""


class ChildFailed(Exception):
    """A process ended instead of answering; it printed the reason on stderr."""


def clean_environment(directory: Path) -> dict[str, str]:
    """
    Return the environment variables of this process, without the settings of any agent.

    Args:
        directory: for the agent's state and for compiled modules. Modules are compiled once even where this process does
            not write bytecode. Strings have the same hashes in all processes, so that the same dicts are equally fast.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SCOUT_", "OTEL_"))}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **inherited,
        "XDG_STATE_HOME": str(directory),
        "PYTHONPYCACHEPREFIX": str(directory / "compiled"),
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": _path(),
    }


class Child:
    """
    A module of ``bench`` that runs as a process until ``close``.

    Args:
        python: interpreter of the environment that it runs in.
        directory: its working directory, without configuration files.
    """

    def __init__(self, python: Path, module: str, *arguments: str, directory: Path) -> None:
        self._name = f"{module} {' '.join(arguments)}"
        self._process = subprocess.Popen(
            [str(python), "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env=clean_environment(directory),
        )
        try:
            self.first = self.read()
            """Its first answer, when it is ready."""
        except ChildFailed:
            self.close()
            raise

    def read(self) -> dict[str, Any]:  # Any: the keys depend on the module
        """
        Return its next answer.

        Raises:
            ChildFailed: it ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"{self._name} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **command: object) -> dict[str, Any]:  # Any: the keys depend on the module
        """
        Send a command, and return the answer.

        Raises:
            ChildFailed: it ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildFailed(f"{self._name} ended with status {self._process.wait()}") from None
        return self.read()

    def close(self) -> None:
        """End the process by closing its input; kill it when that takes longer than ten seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:  # it has ended
                continue
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_once(command: list[str], *, directory: Path) -> dict[str, Any]:  # Any: JSON
    """
    Run a process to its end, and return the line of JSON that it prints.

    Raises:
        ChildFailed: its exit code is not 0.
    """
    done = subprocess.run(
        command, cwd=directory, env=clean_environment(directory), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise ChildFailed(f"{command[0]} ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _path() -> str:
    inherited = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return os.pathsep.join([str(BENCHMARKS), *map(os.path.abspath, inherited)])  # a child has another working directory
