"""What a release must satisfy; each rule answers with a sentence for each thing that is wrong."""

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
    """All that stands against releasing a distribution as this version."""
    return [
        *_tree(),
        *_version(project, version),
        *_changelog(project, projects),
        *(problem for requirement in project.requirements for problem in _range(requirement, projects)),
        *_dependents(project, version, projects),
    ]


def _tree() -> Iterator[str]:
    """What is released is what others can fetch."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, check=True, capture_output=True, text=True)
    if files := [line[3:] for line in status.stdout.splitlines()]:
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        yield f"the tree is dirty: commit or remove {', '.join(files[:3])}{more}"


def _version(project: Project, text: str) -> Iterator[str]:
    """Versions of a distribution only rise, and its last tag and its sources tell the same one."""
    try:
        version = Version(text)
    except InvalidVersion:
        yield f"{text} is no version; one is written 1.2.0 or 1.2.0rc1"
        return
    if str(version) != text or version.local:
        yield f"{text} is not how a release is written; it would be {version.public}"
    tags = released(project.name)
    if version in tags:
        yield f"the tag {tags[version]} exists already"
    if not tags:
        if version < project.version:
            yield f"{text} is not as high as {project.version}, which {_place(project)} says"
        return
    last = max(tags)
    if version < last:
        yield f"{text} is not higher than {last}, the last release: {tags[last]}"
    if project.version != last:
        yield (
            f"{_place(project)} says {project.version} and the last release is {tags[last]}: "
            f"set it to {last}, the release itself writes the next"
        )


def _changelog(project: Project, projects: dict[str, Project]) -> Iterator[str]:
    """A release has something to tell, and the changelog's tool understands all of it."""
    kinds = [kind["directory"] for kind in next(iter(projects.values())).facts["tool"]["towncrier"]["type"]]
    folder = project.folder / "changelog.d"
    fragments = sorted(file.name for file in folder.glob("*") if not file.name.startswith("."))
    for name in fragments:
        kind = TYPES_LINE.search(name)
        if kind is None or kind[1] not in kinds:
            yield f"{folder.relative_to(ROOT) / name} is no fragment: its name must end in {_one_of(kinds)}"
    if not fragments:
        example = folder.relative_to(ROOT) / f"42.{kinds[0]}.md"
        yield f"there is no changelog fragment: say in {example} what users will notice"


def _one_of(kinds: list[str]) -> str:
    return ", ".join(f".{kind}.md" for kind in kinds)


def _range(requirement: Requirement, projects: dict[str, Project]) -> Iterator[str]:
    """
    A range on a distribution of this repository says no more than the tests have tried.

    Its lowest version is what the oldest set is tested with: a release that git has the tag of, or else the sources as
    they are now. The sources are what the newest set is tested with, and speak for what comes after them until the
    next version that may break.
    """
    name = canonicalize_name(requirement.name)
    if name not in projects:
        return
    here, told = projects[name].version, f"the range {requirement}"
    operators = {one.operator for one in requirement.specifier}
    if not operators <= {">=", "<", "!="} or not {">=", "<"} <= operators:
        yield f"{told} is none: write {name}>={here},<{next_breaking(here)}"
        return
    if not requirement.specifier.contains(here, prereleases=True):
        yield f"{told} leaves out {name} {here}, which is what the tests ran with"
    lowest = lower_bound(requirement)
    if lowest != here and lowest not in released(name):
        yield (
            f"{told} is not covered by the tests: {name} {lowest} was never released, and {here} is what they ran with; "
            f"write >={here}, or fetch the tags"
        )
    highest = min(Version(one.version) for one in requirement.specifier if one.operator == "<")
    if highest > next_breaking(here):
        yield (
            f"{told} is not covered by the tests: they ran with {name} {here}, which promises nothing "
            f"from {next_breaking(here)} on; write <{next_breaking(here)}"
        )


def next_breaking(version: Version) -> Version:
    """The first version that may break what works with this one: the next major, or minor while the major is 0."""
    return Version(f"{version.major + 1}" if version.major else f"0.{version.minor + 1}")


def _dependents(project: Project, version: str, projects: dict[str, Project]) -> Iterator[str]:
    """What depends on it here still works with it when it has its new version."""
    for other in projects.values():
        for requirement in other.requirements:
            if canonicalize_name(requirement.name) == project.name and not _allows(requirement, version):
                yield f"{other.name} needs {requirement}: let its range include {version}, and test that, first"


def _allows(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True  # told by another rule


def _place(project: Project) -> str:
    return str(project.version_file.relative_to(ROOT))
