"""The distributions of this repository, as their ``pyproject.toml`` files describe them."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
CORE = "scout-core"
LATEST, OLDEST = "latest", "oldest"
IMPORT = re.compile(r"^[ \t>]*(?:from|import)[ \t]+(scout_[a-z0-9_]+)", re.MULTILINE)
VERSION_LINE = re.compile(r'^(version|VERSION) = "(.+)"$', re.MULTILINE)


@frozen(eq=False)
class Project:
    """One distribution: its folder and its ``pyproject.toml``."""

    folder: Path
    facts: dict[str, Any] = field(repr=False)  # Any: as TOML has it

    @property
    def name(self) -> str:
        """Name on the package index: ``scout-flask``."""
        return str(self.facts["project"]["name"])

    @property
    def short(self) -> str:
        """Name without the common prefix: ``flask``."""
        return self.name.removeprefix("scout-")

    @property
    def module(self) -> str:
        """Name of the module to import: ``scout_flask``."""
        return self.name.replace("-", "_")

    @property
    def entry_point(self) -> str:
        """Name under which the agent finds it: ``flask``."""
        return str(next(iter(self.facts["project"]["entry-points"]["scout_core"])))

    @property
    def packages(self) -> list[Path]:
        """The folders of code that are published."""
        return [self.folder / path for path in self._wheel["packages"]]

    @property
    def sources(self) -> list[Path]:
        """All folders with files that are published."""
        return [*self.packages, *(self.folder / path for path in self._wheel.get("force-include", ()))]

    @property
    def _wheel(self) -> dict[str, Any]:  # Any: as TOML has it
        return dict(self.facts["tool"]["hatch"]["build"]["targets"]["wheel"])

    @property
    def version_file(self) -> Path:
        """The file that defines the version: a module, or else ``pyproject.toml``."""
        if "version" in self.facts["project"].get("dynamic", ()):
            return self.folder / str(self.facts["tool"]["hatch"]["version"]["path"])
        return self.folder / "pyproject.toml"

    @property
    def version(self) -> Version:
        """Version of the sources."""
        found = VERSION_LINE.search(self.version_file.read_text(encoding="utf-8"))
        assert found, f"{self.version_file} has no version"
        return Version(found[2])

    @property
    def requirements(self) -> list[Requirement]:
        """Dependencies."""
        return [Requirement(line) for line in self.facts["project"]["dependencies"]]

    @property
    def instruments(self) -> list[str]:
        """The libraries that it supports, as requirements."""
        return list(self.facts["project"].get("optional-dependencies", {}).get("instruments", []))

    @property
    def test_table(self) -> dict[str, Any]:  # Any: as TOML has it
        """Its ``[tool.scout-test]``; docs/publishing.md explains the keys."""
        return dict(self.facts.get("tool", {}).get("scout-test", {}))

    def test_needs(self, key: str) -> list[str]:
        """One list of its ``[tool.scout-test]``, or one of its sets of libraries."""
        return list(self.test_table[key] if key in self.test_table else self.test_sets.get(key, []))

    @property
    def test_sets(self) -> dict[str, list[str]]:
        """Name to pins of each further set of libraries that it is tested with."""
        return dict(self.test_table.get("sets", {}))

    def is_apart(self, libraries: str) -> bool:
        """Whether the tests with these libraries need an environment of their own."""
        return libraries in self.test_needs("apart")

    def test_files(self, key: str) -> list[Path]:
        """One list of its ``[tool.scout-test]``, as files; ``*`` matches anything."""
        return sorted(file for name in self.test_needs(key) for file in (self.folder / "tests").glob(name))

    def imports(self) -> set[str]:
        """The distributions of this repository whose modules its code and its tests import."""
        return imported_by(file for place in (*self.packages, self.folder / "tests") for file in place.rglob("*.py"))


def read_projects(root: Path) -> dict[str, Project]:
    """Name to distribution, the core first."""
    files = (root / "pyproject.toml", *sorted(root.glob("plugins/*/pyproject.toml")))
    found = (parse(file.parent, file.read_text(encoding="utf-8")) for file in files)
    return {project.name: project for project in found}


def parse(folder: Path, text: str) -> Project:
    """The distribution that the text of a ``pyproject.toml`` describes."""
    return Project(folder, tomllib.loads(text))


def imported_by(files: Iterable[Path]) -> set[str]:
    """The distributions whose modules are imported by files: Python, or pages with Python in them."""
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    return {canonicalize_name(name) for text in texts for name in IMPORT.findall(text)}


def local_needs(project: Project, projects: Mapping[str, Project]) -> list[str]:
    """The distributions of this repository that one depends on directly."""
    names = (canonicalize_name(requirement.name) for requirement in project.requirements)
    return [name for name in names if name in projects]


def with_local_needs(names: Iterable[str], projects: dict[str, Project]) -> list[str]:
    """The distributions and all distributions of this repository that they depend on, the core first."""
    found = {CORE: None}
    queue = list(names)
    while queue:
        name = queue.pop()
        found[name] = None
        queue += [need for need in local_needs(projects[name], projects) if need not in found]
    return list(found)


def used_by(project: Project, projects: dict[str, Project]) -> set[str]:
    """The distributions of this repository that its code or its tests use: dependencies, ``requires``, or imports."""
    listed = (Requirement(line).name for key in ("requires", "extra") for line in project.test_needs(key))
    named = {*local_needs(project, projects), *map(canonicalize_name, listed), *project.imports()}
    return {name for name in named if name in projects and name != project.name}


def with_dependents(names: Iterable[str], projects: dict[str, Project]) -> set[str]:
    """Plugins, and the plugins whose tests use one of them, directly or not."""
    uses = {name: used_by(project, projects) for name, project in projects.items() if name != CORE}
    found = set(names)
    while more := {name for name, used in uses.items() if used & found} - found:
        found |= more
    return found


@functools.cache
def released(name: str, root: Path = ROOT) -> dict[Version, str]:
    """Version to tag of each release of a distribution that this clone has."""
    command = ["git", "tag", "--list", f"{name}-[0-9]*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except OSError:
        return {}  # no git, as where an archive was unpacked
    return {Version(tag.removeprefix(f"{name}-")): tag for tag in done.stdout.split()}


def lower_bound(requirement: Requirement) -> Version | None:
    """The lowest version that a range allows."""
    bounds = [Version(part.version) for part in requirement.specifier if part.operator in (">=", "~=", "==")]
    return max(bounds, default=None)


def floors(project: Project, projects: Mapping[str, Project]) -> dict[str, str]:
    """
    Releases of this repository that a plugin's oldest libraries are tested with.

    Returns:
        Distribution to the tag of the release that is the lower bound of the plugin's range on it. A distribution is
        missing when that version is not released yet; the tests then use its current sources.
    """
    found: dict[str, str] = {}
    for requirement in project.requirements:
        name, bound = canonicalize_name(requirement.name), lower_bound(requirement)
        if name in projects and bound in released(name):
            found[name] = released(name)[bound]
    return found
