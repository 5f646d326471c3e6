"""The environments that the plugins are tested in: those that they share, and those that one plugin has to itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from projects import CORE, LATEST, OLDEST, Project, floors, local_needs


@frozen
class Row:
    """One environment for one plugin, which is one session: its libraries, and the Python."""

    project: Project
    libraries: str
    """``latest``, ``oldest``, or the name of one of the plugin's ``sets``."""
    python: str

    def __str__(self) -> str:
        return f"{self.project.short}, {self.libraries}, {self.python}"


@frozen
class Plan:
    """All environments."""

    rows: Sequence[Row]
    """Each plugin on its own, with every set of libraries and every Python."""
    apart: Sequence[Row]
    """Those rows that cannot share an environment."""
    floors: Mapping[str, str]
    """Distribution to the tag of its release in the shared environment with the oldest libraries."""

    def shared(self, libraries: str, python: str) -> list[Project]:
        """The plugins that share the environment with these libraries and this Python."""
        return [
            row.project
            for row in self.rows
            if (row.libraries, row.python) == (libraries, python) and row not in self.apart
        ]

    def by_default(self) -> list[Row]:
        """The rows that run when all is tested: those that share nothing, with the newest libraries on two Pythons."""
        pythons: dict[str, list[str]] = {}
        for row in self.rows:
            pythons.setdefault(row.project.name, []).append(row.python)
        return [
            row
            for row in self.apart
            if row.libraries != LATEST or row.python in (pythons[row.project.name][0], pythons[row.project.name][-1])
        ]


def plan(projects: Mapping[str, Project], pythons: Sequence[str]) -> Plan:
    """
    Choose the environments.

    A plugin shares them unless its ``apart`` names the set of libraries. Its ``sets`` are never shared. The oldest
    libraries are shared on the lowest Python only, and by plugins with the same lower bound on the core.

    Args:
        pythons: from the lowest to the highest.
    """
    rows = [row for name, project in projects.items() if name != CORE for row in _rows(project, projects, pythons)]
    sharing = [row for row in rows if row.libraries in (LATEST, OLDEST) and not row.project.is_apart(row.libraries)]
    oldest = [row.project for row in sharing if (row.libraries, row.python) == (OLDEST, pythons[0])]
    releases = _highest_floors(oldest, projects)
    apart = [
        row
        for row in rows
        if row not in sharing
        or (row.libraries == OLDEST and (row.project not in oldest or not _has_floors(row.project, releases, projects)))
    ]
    return Plan(rows, apart, releases)


def _rows(project: Project, projects: Mapping[str, Project], pythons: Sequence[str]) -> list[Row]:
    """The newest libraries on every Python that the plugin supports, all others on its lowest."""
    supported = SpecifierSet(project.facts["project"]["requires-python"])
    pythons = [python for python in pythons if python in supported]
    named = [OLDEST] if project.test_needs("oldest") or floors(project, projects) else []
    return [
        *(Row(project, libraries, pythons[0]) for libraries in (*named, *project.test_sets)),
        *(Row(project, LATEST, python) for python in pythons),
    ]


def _highest_floors(plugins: Sequence[Project], projects: Mapping[str, Project]) -> dict[str, str]:
    """Distribution to the tag of the highest lower bound; missing where a plugin needs the sources as they are now."""
    tags: dict[str, list[str | None]] = {}
    for project in plugins:
        for name in local_needs(project, projects):
            tags.setdefault(name, []).append(floors(project, projects).get(name))
    return {
        name: max((tag for tag in found if tag), key=lambda tag: Version(tag.removeprefix(f"{name}-")))
        for name, found in tags.items()
        if None not in found
    }


def _has_floors(project: Project, releases: Mapping[str, str], projects: Mapping[str, Project]) -> bool:
    own = floors(project, projects)
    return all(own.get(name) == releases.get(name) for name in local_needs(project, projects))
