"""Find the installed plugins by their metadata, without importing them."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from scout_core.boundary.metadata import Found, read_plugins, unreadable
from scout_core.boundary.path_entries import metadata_in
from scout_core.boundary.versions import canonicalize_name
from scout_core.hookspecs import PROJECT
from scout_core.problems import Problem

_CORE = canonicalize_name(PROJECT)


@frozen
class Environment:
    """Everything that is installed."""

    plugins: tuple[Found, ...]
    """By name. Where several share a name, the core's own comes first, then in the order of their distributions."""
    installed: dict[str, str]
    """Canonical distribution name to version."""
    problems: tuple[Problem, ...]
    """One for each distribution whose metadata cannot be read at all."""


def find_plugins(path: Iterable[str]) -> Environment:
    """
    Search the entries of ``sys.path``. When a distribution is installed twice, the first one counts, as it does for imports.

    Args:
        path: folders, and archives (a zipapp, a PEX, a wheel) or folders in them. Anything else is ignored, as imports do.
    """
    installed: dict[str, str] = {}
    plugins: list[Found] = []
    problems: list[Problem] = []
    for entry in dict.fromkeys(entry or "." for entry in path if isinstance(entry, str)):
        for metadata in metadata_in(entry):
            key = canonicalize_name(metadata.name)
            if key in installed:
                continue
            installed[key] = metadata.version
            try:
                plugins.extend(read_plugins(metadata))
            except (OSError, ValueError) as error:  # ValueError: a damaged archive
                problem = unreadable(metadata.location, error)
                problems.append(
                    evolve(problem, advice=f"reinstall it: pip install --force-reinstall {problem.subject}")
                )
    plugins.sort(key=lambda found: (found.name, canonicalize_name(found.distribution) != _CORE, found.distribution))
    return Environment(tuple(plugins), installed, tuple(problems))
