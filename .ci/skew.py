"""The earlier revision that this one is tested against, and what plugins were there."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from projects import CORE, ROOT, Project, parse, released
from rules import next_breaking


def base_revision(asked: str | None = None, root: Path = ROOT) -> str | None:
    """
    The revision of the earlier wheels.

    Args:
        asked: a revision that a person named; the tests are then run against that.

    Returns:
        The newest release of the core that HEAD descends from; without one, where this branch left main; on main itself,
        its previous commit. None when this clone has none of them, as a shallow one of one commit.
    """
    if asked is not None:
        return asked
    head = _git(root, "rev-parse", "HEAD")
    tags = released(CORE, root)
    for version in sorted(tags, reverse=True):
        if (
            _git(root, "merge-base", tags[version], "HEAD")
            == _git(root, "rev-parse", f"{tags[version]}^{{commit}}")
            != head
        ):
            return tags[version]
    for branch in ("origin/main", "main"):
        start = _git(root, "merge-base", branch, "HEAD")
        if start is not None and start != head:
            return start
    return _git(root, "rev-parse", "--verify", "--quiet", "HEAD~1")


def project_at(project: Project, revision: str) -> Project | None:
    """The distribution as it was described in a revision; None when it was not there."""
    text = _git(ROOT, "show", f"{revision}:{project.folder.relative_to(ROOT) / 'pyproject.toml'}")
    return None if text is None else parse(project.folder, text)


def works_with(plugin: Project, core: Version) -> bool:
    """Whether the plugin's range on the core includes this version."""
    return all(
        requirement.specifier.contains(core, prereleases=True)
        for requirement in plugin.requirements
        if canonicalize_name(requirement.name) == CORE
    )


def announces_break(plugins: Iterable[Project], core: Version) -> bool:
    """Whether a plugin's range on the core includes the next version that may break plugins."""
    return any(works_with(plugin, next_breaking(core)) for plugin in plugins)


def extract(project: Project, revision: str, folder: str, into: Path) -> Path:
    """Write a folder of a distribution, as it was in a revision, below a directory; return where it is."""
    place = into / project.name
    tree = f"{revision}:{project.folder.relative_to(ROOT) / folder}"
    archive = subprocess.run(["git", "archive", "--format=zip", tree], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
        files.extractall(place)
    return place


def _git(root: Path, *arguments: str) -> str | None:
    """The output of a git command; None when it fails or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
