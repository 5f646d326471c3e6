"""Run a suite in an environment of its own, first without the agent and then with it, and compare; see ``upstream.py``."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nox
from attrs import define, field
from nox.command import CommandFailed

from limited import run_limited
from networks import own_network
from projects import Project
from upstream import RECORDERS, NotAvailable, Suite, requirements, running_server, unpack, version_of
from wheels import wheel

RUNS = 3
"""Without the agent and with it, when the first two differ."""
CHANGES_THE_SUITE = re.compile(r"(?i)(\w+_proxy|\w*SSL_CERT_\w+|\w+_CA_BUNDLE|SCOUT_\w+|PYTEST_\w+)")
"""Environment variables of this machine that the tests do not expect."""
WITHOUT, RECORDED = "without", "recorded"
NAMES = {WITHOUT: "without the agent", RECORDED: "with the agent"}


@define
class Judge:
    """
    The runs of one suite.

    Args:
        involved: the plugin's distribution, and those of this repository that it depends on.
        options: further arguments of pytest, or of the program.
        folder: an empty one, for everything that is made.
    """

    session: nox.Session
    project: Project
    suite: Suite
    involved: Sequence[Project]
    options: Sequence[str]
    folder: Path
    version: str | None = None
    """The version of the library; None for Python itself."""
    _archive: Path | None = None
    _files: dict[str, list[Path]] = field(factory=lambda: {WITHOUT: [], RECORDED: []})

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(self.folder / "venv" / "bin" / "python")

    def compare(self) -> dict[str, Any]:  # Any: JSON
        """Run the suite without and with the agent, several times if there is a difference; return the counts and the problems."""
        self._prepare()
        self._run(WITHOUT, 1)
        self._install_agent()
        self._run(RECORDED, 1)
        summary = self._compared()
        if not summary["problems"]:
            return summary
        self.session.warn("there is a difference; both are repeated, as the suite may be unstable by itself")
        self._run(RECORDED, RUNS - 1)
        names = (project.name for project in self.involved)
        self._python("-m", "pip", "uninstall", "--yes", "--quiet", *names)
        self._run(WITHOUT, RUNS - 1)
        self._install_agent()
        return self._compared()

    def _prepare(self) -> None:
        """Install all but the agent."""
        self.session.run("python", "-m", "venv", str(self.folder / "venv"))
        library = self.suite.library
        try:
            if library is not None:
                source = [f"--no-binary={library.name}", f"--dest={self.folder}", str(library)]
                self._python("-m", "pip", "download", "--quiet", "--no-deps", *source)
                (self._archive,) = self.folder.glob("*.tar.gz")
                self.version = version_of(self._archive)
            self._python("-m", "pip", "install", "--quiet", *requirements(self.suite, self.involved, self.version))
        except CommandFailed as error:
            raise NotAvailable(
                "the package index does not have the source of the library, and what its tests need"
            ) from error
        (packages,) = self.folder.glob("venv/lib/python*/site-packages")
        for recorder in RECORDERS:
            shutil.copy(recorder, packages / f"scout_{recorder.name}")

    def _install_agent(self) -> None:
        self._python(
            "-m", "pip", "install", "--quiet", "--no-deps", *(str(wheel(project)) for project in self.involved)
        )

    def _run(self, kind: str, times: int) -> None:
        plugin = self.project.entry_point if kind == RECORDED else None
        outside = [False, True] if plugin and self.suite.has_roots else [False]
        for is_outside in outside * times:
            file = self.folder / f"run {len(self._files[kind]) + 1} {NAMES[kind]}.json"
            with self.network(), running_server(self.suite) as server:
                runner = self.suite.runner(file, plugin, is_outside=is_outside)
                self._once(file, [*runner, *self.suite.chosen_tests(server)], self.suite.variables(server))
            self._files[kind].append(file)

    @contextmanager
    def network(self) -> Iterator[None]:
        """Enter a network of its own, if the suite asks for one; where that is impossible, stay in that of this machine."""
        with ExitStack() as stack:
            if self.suite.own_network:
                try:
                    stack.enter_context(own_network())
                except OSError as reason:
                    self.session.warn(
                        f"the tests run in the network of this machine, as they cannot have their own: {reason}"
                    )
            yield

    def _once(self, file: Path, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        """Run the suite once, in a fresh copy of the source, and write the outcomes to a file."""
        command = [self.python, "-X", "faulthandler", *arguments, *self.options]
        kept = {key: text for key, text in os.environ.items() if not CHANGES_THE_SUITE.fullmatch(key)}
        kept["PATH"] = os.pathsep.join([str(Path(self.python).parent), os.environ["PATH"]])
        self.session.log(shlex.join(command))
        run_limited(
            command,
            file,
            self.suite.limit,
            cwd=unpack(self._archive, self.folder / "source"),
            env=kept | self._isolated | dict(variables),
        )

    def _compared(self) -> dict[str, Any]:  # Any: JSON
        file = self.folder / "summary.json"
        runs = [f"--{kind}={run}" for kind, files in self._files.items() for run in files]
        runs += [f"--expected={test}" for test in self.suite.differences]
        self._python("-m", "scout_core.testing.upstream.comparison", *runs, f"--summary={file}", success_codes=[0, 1])
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def _python(self, *arguments: str, success_codes: Sequence[int] = (0,)) -> None:
        self.session.run(self.python, *arguments, env=self._isolated, success_codes=success_codes, external=True)

    @property
    def _isolated(self) -> dict[str, str]:
        """Environment variables for Python without the packages of the user; it finds no collector of this machine."""
        return {"XDG_STATE_HOME": str(self.folder), "PYTHONNOUSERSITE": "1"}
