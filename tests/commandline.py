"""The command as a person runs it: in a directory of its own, with a home of its own, and with the plugins that a test installs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.forkserver import ForkServer

MODULE = (sys.executable, "-m", "scout_core")
SCRIPT = (str(Path(sys.executable).with_name("scout-core")),)
NEEDS = ("scout_core", "attr", "attrs", "cattrs", "click", "packaging", "pluggy", "tomlkit", "tomli", "exceptiongroup", "typing_extensions")  # fmt: skip
"""Modules that the command needs; some do not exist on every Python."""
FORK_SERVER = ForkServer()
BUILT_IN = (
    "age",
    "collector",
    "error",
    "error_traces",
    "ignoring",
    "percent",
    "percentile",
    "process",
    "sampling",
    "shutdown",
    "speed",
    "threads",
)

PLUGIN = """
import attrs
from scout_core import hookimpl

@attrs.define
class Options:
    level: int = attrs.field(default=1, metadata={"help": "How deep."})
    api_key: str = ""

@hookimpl
def register_options():
    return Options

@hookimpl
def score_transaction():
    return 1.0

@hookimpl
def instrument(wrap):
    wrap("json:dumps", lambda *args, **kwargs: None)
    wrap("json:nothing", lambda *args, **kwargs: None, optional=True)
    wrap("a_library_that_is_not_there:work", lambda: None)
"""


@frozen
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on standard output."""
        return json.loads(self.out)

    @property
    def problems(self) -> list[str]:
        """Problems on standard error."""
        return [line.removeprefix("problem: ") for line in self.err.splitlines() if line.startswith("problem: ")]

    def named(self, name: str) -> Any:
        """One object of a JSON list."""
        (found,) = [item for item in self.json if item["name"] == name]
        return found


class Commandline:
    """A folder to run the command in."""

    def __init__(self, tmp_path: Path) -> None:
        self.here = tmp_path / "here"
        self.home = tmp_path / "home"
        self.site = tmp_path / "site"
        self.state = self.home / ".local" / "state" / "scout-core"
        for folder in (self.here, self.home, self.site):
            folder.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """Environment of the command, without our variables and Python's."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("SCOUT", "PYTHON", "XDG", "COV"))
        }
        path = os.pathsep.join([str(self.site), *filter(None, sys.path)])
        return {**kept, "HOME": str(self.home), "COLUMNS": "200", "PYTHONPATH": path, **more}

    def __call__(
        self, *arguments: str, command: tuple[str, ...] | None = None, cwd: Path | None = None, **more: str
    ) -> Ran:
        """
        Run it to its end, and check that it shows no traceback.

        Args:
            command: what to start instead of a fork; for tests whose subject is the interpreter's start or the streams.
            more: environment variables.
        """
        env = self.environment(**more)
        if command is None:
            ran = Ran(*FORK_SERVER.run(list(arguments), cwd=cwd or self.here, env=env))
        else:
            done = subprocess.run(
                [*command, *arguments], cwd=cwd or self.here, env=env, capture_output=True, text=True, timeout=120
            )
            ran = Ran(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in ran.out + ran.err, ran.err
        return ran

    def write(self, name: str, text: str) -> Path:
        """A file below the working directory."""
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def write_module(self, name: str, source: str) -> Path:
        """A module in the working directory."""
        return self.write(f"{name}.py", source)

    def install(
        self, name: str, source: str, *, version: str = "1.0", requires: tuple[str, ...] = (), distribution: str = ""
    ) -> Path:
        """A plugin as an installer leaves it: a module and its metadata. Returns the module's file."""
        distribution = distribution or f"acme-{name}"
        metadata = self.site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        lines = [f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n\n", encoding="utf-8")
        module = f"acme_{name.replace('-', '_')}"
        (metadata / "entry_points.txt").write_text(f"[scout_core]\n{name} = {module}\n", encoding="utf-8")
        file = self.site / f"{module}.py"
        file.write_text(textwrap.dedent(source), encoding="utf-8")
        return file
