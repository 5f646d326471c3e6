"""A library's own test suite as the judge of a plugin: ``nox -s upstream -- flask``; docs/publishing.md explains the keys."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from runpy import run_path
from typing import Any
from unittest import SkipTest
from urllib.parse import urlsplit

from attrs import evolve, field, fields, frozen
from packaging.requirements import Requirement
from packaging.utils import parse_sdist_filename

from projects import CORE, ROOT, Project

TABLE = "scout-upstream"
RESULT = "upstream.json"
"""The file beside a plugin's ``pyproject.toml`` with the result of the last run that found no difference."""
_KIT = ROOT / "scout_core" / "testing" / "upstream"
RECORDERS = (_KIT / "outcomes.py", _KIT / "programs.py")
"""Modules of the test kit that write outcomes where scout-core is not installed: for pytest, and for programs."""
SERVERS = ROOT / "scout_core" / "testing" / "servers.py"


class NoSuite(Exception):
    """There is nothing to run; the message has the reason."""


class NotAvailable(NoSuite):
    """The package index has no source distribution, or lacks what the tests need."""


@frozen
class Suite:
    """The table ``[tool.scout-upstream]`` of a plugin."""

    library: Requirement | None = None
    """The distribution with the tests, and the versions to choose the newest from; None: tests that come with Python."""
    needs: Sequence[str] = ()
    """Requirements of the tests."""
    program: str = ""
    """A program of the library that runs its tests, which are those of ``unittest``: ``tests/runtests.py``. Empty: pytest runs them."""
    arguments: Sequence[str] = ()
    """Arguments of pytest, or of the program, such as the folders to run."""
    part: Sequence[str] = ()
    """Arguments that choose the few stable tests which `nox` runs each time, in place of ``arguments``; empty: it runs none."""
    selection: str = ""
    """Why the arguments choose some of the tests; empty where they choose all."""
    environment: Mapping[str, str] = field(factory=dict)
    """Environment variables of the tests."""
    server: str = ""
    """
    The function of ``scout_core.testing.servers`` that starts a server for each run; arguments and environment variables may
    contain the parts of its address: ``{url}``, ``{hostname}``, ``{port}``, ``{username}`` and ``{password}``.
    """
    server_options: Sequence[str] = ()
    """Arguments of the server's command."""
    server_port: int | None = None
    """Its port, for tests that know no other; None: a free one."""
    own_network: bool = False
    """Whether tests and server run in a network of their own, where that port is free, and nothing reaches another machine."""
    limit: float = 1_800.0
    """Seconds after which a run is ended as hanging."""
    has_roots: bool = False
    """Whether the plugin's calls begin transactions, so that tests also run outside any."""
    settings: Mapping[str, str] = field(factory=dict)
    """Options of the agent: key to value, as an environment variable has it."""
    deselect: Mapping[str, str] = field(factory=dict)
    """Tests, and files of tests, that are unstable, or impossible here, without the plugin, too, with the reason."""
    differences: Mapping[str, str] = field(factory=dict)
    """Tests whose outcome may be another one with the plugin, with the reason."""

    def runner(self, outcomes: Path, plugin: str | None, *, is_outside: bool = False) -> list[str]:
        """
        Return the arguments of Python that run the suite, without those that choose the tests.

        Args:
            plugin: to record with; None: without the agent, by a copy of the module.
            is_outside: record no test inside a transaction.
        """
        written = f"--scout-outcomes={outcomes}"
        recorded = [] if plugin is None else [f"--scout-plugin={plugin}", *(["--scout-outside"] if is_outside else [])]
        if self.program:
            module = "scout_programs" if plugin is None else "scout_core.testing.upstream.recorded_programs"
            return ["-m", module, written, *recorded, self.program]
        module = "scout_outcomes" if plugin is None else "scout_core.testing.upstream"
        return ["-m", "pytest", "-q", "-pno:cacheprovider", written, f"-p{module}", *recorded]

    def chosen_tests(self, server: Mapping[str, str]) -> list[str]:
        """Return the arguments that choose the tests. A file of pytest that is left out is not imported."""
        left_out = [f"--deselect={it}" if "::" in it else f"--ignore={it}" for it in self.deselect]
        return [filled(argument, server) for argument in self.arguments] + left_out

    def variables(self, server: Mapping[str, str]) -> dict[str, str]:
        """Environment variables: those of the tests, and the options of the agent."""
        options = {f"SCOUT_{key.upper().replace('.', '_')}": value for key, value in self.settings.items()}
        return {name: filled(value, server) for name, value in self.environment.items()} | options


def filled(text: str, server: Mapping[str, str]) -> str:
    """Return a text with the parts of the server's address: ``--redis-url={url}``."""
    for name, value in server.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def suite_of(project: Project) -> Suite:
    """
    Read the table of a plugin.

    Raises:
        NoSuite: it has none, or a key is unknown or has no reason.
    """
    table: dict[str, Any] | None = project.facts.get("tool", {}).get(TABLE)  # Any: as TOML has it
    if table is None:
        raise NoSuite(f"{project.name} has no table [tool.{TABLE}]")
    unknown = set(table) - {key.name for key in fields(Suite)}
    if unknown:
        raise NoSuite(f"{project.name}: unknown keys of [tool.{TABLE}]: {', '.join(sorted(unknown))}")
    for key, meaning in {"deselect": "are deselected", "differences": "may differ"}.items():
        if missing := [test for test, reason in table.get(key, {}).items() if not str(reason).strip()]:
            raise NoSuite(f"{project.name}: tests {meaning} without a reason: {', '.join(missing)}")
    if "program" in table and "deselect" in table:
        raise NoSuite(f"{project.name}: a program takes no tests to deselect; choose them with its arguments")
    library = Requirement(table["library"]) if "library" in table else None
    return Suite(**{**table, "library": library})


def part_of(suite: Suite) -> Suite:
    """Return the suite with only the tests that run each time; those may be none of the tests with expected differences."""
    return evolve(suite, arguments=suite.part)


def chosen(arguments: Sequence[str], projects: Iterable[Project]) -> tuple[list[Project], list[str]]:
    """
    Return the plugins that the command line names, and its further arguments, which are for pytest.

    Without a name, all that have a table.

    Raises:
        NoSuite: no plugin has that name.
    """
    by_name = {name: project for project in projects for name in (project.name, project.short)}
    names = []
    for argument in arguments:
        if argument.startswith("-"):
            break
        names.append(argument)
    if unknown := [name for name in names if name not in by_name]:
        raise NoSuite(f"unknown plugins: {', '.join(unknown)}")
    every = {id(project): project for project in by_name.values() if TABLE in project.facts.get("tool", {})}
    return [by_name[name] for name in names] or list(every.values()), list(arguments[len(names) :])


def requirements(suite: Suite, projects: Iterable[Project], version: str | None) -> list[str]:
    """The library in that very version, what its tests need, and what the agent depends on: all but the agent itself."""
    library = [] if suite.library is None else [f"{suite.library.name}=={version}"]
    needed = [str(line) for project in projects for line in project.requirements if line.name != CORE]
    return [*library, "pytest>=7.4", *suite.needs, *needed]


@contextmanager
def running_server(suite: Suite) -> Iterator[dict[str, str]]:
    """
    Start the server of a suite, which gets an empty one for each run; the value is its address, by part.

    Raises:
        NoSuite: there is no such server, or it is not installed, or does not start.
    """
    if not suite.server:
        yield {}
        return
    servers = run_path(str(SERVERS))
    start = servers.get(suite.server)
    if start is None:
        raise NoSuite(f"unknown server {suite.server!r}; expected a function of scout_core.testing.servers")
    with ExitStack() as stack:
        try:
            url: str = stack.enter_context(
                start(*suite.server_options, port=suite.server_port or servers["free_port"]())
            )
        except (SkipTest, RuntimeError) as reason:
            raise NoSuite(str(reason)) from None
        parts = {name: getattr(urlsplit(url), name) for name in ("hostname", "port", "username", "password")}
        yield {"url": url, **{name: str(value) for name, value in parts.items() if value is not None}}


def version_of(archive: Path) -> str:
    """The version of a source archive, from its name."""
    return str(parse_sdist_filename(archive.name)[1])


def unpack(archive: Path | None, place: Path) -> Path:
    """Return a folder with the files of a source archive as they were published, whatever an earlier run left there."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if archive is None:
        return place
    with tarfile.open(archive) as files:
        if sys.version_info >= (3, 12):
            files.extractall(place, filter="data")
        else:
            files.extractall(place)
    (folder,) = place.iterdir()
    return folder


def store(project: Project, suite: Suite, version: str | None, summary: dict[str, Any]) -> Path:  # Any: JSON
    """Write the result of a run beside the plugin's project file, from which the table of the documentation is made."""
    file = project.folder / RESULT
    facts = {
        "library": suite.library.name if suite.library else "CPython",
        "version": version or summary["python"],
        "python": summary["python"],
        "date": datetime.now(timezone.utc).date().isoformat(),
        **{key: summary[key] for key in ("tests", "passed", "transactions", "spans", "unstable")},
        "selected": {shlex.join(suite.arguments): suite.selection} if suite.selection else {},
        "deselected": dict(suite.deselect),
        "differences": {test: suite.differences[test] for test in summary["expected"]},
        "settings": dict(suite.settings),
    }
    file.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return file
