"""Rules for releases; each yields one message for each problem."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from projects import ROOT, Project, lower_bound, released

TYPES_LINE = re.compile(r"\.(\w+)(?:\.\d+)?\.md$")


def problems(project: Project, version: str, projects: dict[str, Project]) -> list[str]:
    """Reasons not to release a distribution with this version."""
    return [
        *_tree(),
        *_version(project, version),
        *_changelog(project, projects),
        *(problem for requirement in project.requirements for problem in _range(requirement, projects)),
        *_dependents(project, version, projects),
    ]


def _tree() -> Iterator[str]:
    """Everything in the release is committed."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, check=True, capture_output=True, text=True)
    if files := [line[3:] for line in status.stdout.splitlines()]:
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        yield f"uncommitted changes: commit or remove {', '.join(files[:3])}{more}"


def _version(project: Project, text: str) -> Iterator[str]:
    """The version is higher than the last tag, which has the version of the sources."""
    try:
        version = Version(text)
    except InvalidVersion:
        yield f"invalid version {text!r}; expected one such as 1.2.0 or 1.2.0rc1"
        return
    if str(version) != text or version.local:
        yield f"version {text!r} is not in normal form; use {version.public}"
    tags = released(project.name)
    if version in tags:
        yield f"tag {tags[version]} already exists"
    if not tags:
        if version < project.version:
            yield f"{text} is lower than {project.version}, the version in {_place(project)}"
        return
    last = max(tags)
    if version < last:
        yield f"{text} is not higher than the last release, {tags[last]}"
    if project.version != last:
        yield (
            f"{_place(project)} has version {project.version}, but the last release is {tags[last]}: "
            f"set it to {last}; the release command writes the next version"
        )


def _changelog(project: Project, projects: dict[str, Project]) -> Iterator[str]:
    """There is a changelog fragment, and towncrier recognises the type of each."""
    kinds = [kind["directory"] for kind in next(iter(projects.values())).facts["tool"]["towncrier"]["type"]]
    folder = project.folder / "changelog.d"
    fragments = sorted(file.name for file in folder.glob("*") if not file.name.startswith("."))
    for name in fragments:
        kind = TYPES_LINE.search(name)
        if kind is None or kind[1] not in kinds:
            yield f"{folder.relative_to(ROOT) / name} is not a changelog fragment: its name must end in {_endings(kinds)}"
    if not fragments:
        example = folder.relative_to(ROOT) / f"42.{kinds[0]}.md"
        yield f"no changelog fragment: describe in {example} what users will notice"


def _endings(kinds: list[str]) -> str:
    return ", ".join(f".{kind}.md" for kind in kinds)


def _range(requirement: Requirement, projects: dict[str, Project]) -> Iterator[str]:
    """
    A range on a distribution of this repository allows only tested versions.

    Its lower bound is a tagged release, or the version of the sources: the oldest libraries are tested with it. Its upper
    bound is at most the next breaking version: tests with the sources cover every version before that.
    """
    name = canonicalize_name(requirement.name)
    if name not in projects:
        return
    here = projects[name].version
    operators = {part.operator for part in requirement.specifier}
    if not operators <= {">=", "<", "!="} or not {">=", "<"} <= operators:
        yield f"{requirement} needs a lower and an upper bound: write {name}>={here},<{next_breaking(here)}"
        return
    if not requirement.specifier.contains(here, prereleases=True):
        yield f"{requirement} excludes {name} {here}, the version that was tested"
    lowest = lower_bound(requirement)
    if lowest != here and lowest not in released(name):
        yield (
            f"{requirement} allows untested versions: {name} {lowest} was never released, and {here} was tested; "
            f"write >={here}, or fetch the tags"
        )
    highest = min(Version(part.version) for part in requirement.specifier if part.operator == "<")
    if highest > next_breaking(here):
        yield (
            f"{requirement} allows untested versions: {name} {here} was tested, and {next_breaking(here)} may break it; "
            f"write <{next_breaking(here)}"
        )


def next_breaking(version: Version) -> Version:
    """The next version that may break users of this one: the next major, or the next minor while the major is 0."""
    return Version(f"{version.major + 1}" if version.major else f"0.{version.minor + 1}")


def _dependents(project: Project, version: str, projects: dict[str, Project]) -> Iterator[str]:
    """The ranges of the distributions that depend on it include the new version."""
    for other in projects.values():
        for requirement in other.requirements:
            if canonicalize_name(requirement.name) == project.name and not _allows(requirement, version):
                yield f"{other.name} needs {requirement}: first make its range include {version}, and test that"


def _allows(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True  # reported by another rule


def _place(project: Project) -> str:
    return str(project.version_file.relative_to(ROOT))
