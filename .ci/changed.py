"""What a change must be tested with: which files differ, by git, and who uses them, by imports and dependencies."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
from pathlib import Path

from attrs import field, frozen

from projects import Project, imported_by, with_dependents

ALWAYS = {"lint"}
OF_A_PLUGIN = {"lint", "types"}
RULES: tuple[tuple[str, set[str]], ...] = (
    ("README.md", {"docs"}),
    ("docs/tutorial.md", {"docs", "packaging"}),
    ("docs/*", {"docs"}),
    ("CHANGELOG.md", ALWAYS),
    ("changelog.d/*", ALWAYS),
    ("LICENSE", ALWAYS),
    (".gitignore", ALWAYS),
    (".github/*", {"monorepo"}),
    ("template/*", {"core", "monorepo", "packaging"}),
    ("tests/test_cookbook.py", {"docs"}),
    ("tests/test_docs.py", {"docs"}),
    ("tests/test_english.py", ALWAYS),
    ("tests/test_house.py", ALWAYS),
    ("tests/test_monorepo.py", {"monorepo"}),
    ("tests/test_packaging.py", {"packaging"}),
    ("tests/test_template.py", {"packaging"}),
    ("tests/test_tutorial.py", {"packaging"}),
    ("tests/*", {"core", "together"}),
    ("benchmarks/*", {"core"}),
)
"""Files outside the plugins to the sessions that meet them; the first that fits. What fits none is met by all."""


@frozen
class Selection:
    """What to run: sessions by name, and the plugins whose sessions."""

    sessions: set[str] = field(factory=set)
    plugins: set[str] = field(factory=set)


class UnknownRevision(Exception):
    """Git cannot tell what has changed since then."""


def changed_files(root: Path, base: str) -> set[str]:
    """
    The files that differ from those where this branch left another.

    Args:
        root: of the repository.
        base: the other branch, or any revision.

    Returns:
        Paths below the root: of commits since then, and of what is not committed or not even known to git. A file that
        was moved is there under both its names.

    Raises:
        UnknownRevision: git does not know it, or nothing that it has in common with what is here.
    """
    start = _git(root, "merge-base", "--", base, "HEAD").strip()
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", start, "--")
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return {path for path in (changed + unknown).split("\0") if path}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode:
        reason = (
            done.stderr.strip() or "nothing in common with what is here; a shallow clone must fetch its history first"
        )
        raise UnknownRevision(f"git {' '.join(arguments)}: {reason}")
    return done.stdout


def select(changed: set[str], projects: dict[str, Project], root: Path) -> Selection | None:
    """The least that tests a change; None when that is everything."""
    if not changed:
        return Selection()
    sessions = set(ALWAYS)
    folders = set()
    for path in changed:
        if fnmatch(path, "plugins/*/*"):
            folders.add("/".join(path.split("/")[:2]))
            sessions |= OF_A_PLUGIN | ({"packaging"} if fnmatch(path, "plugins/*/pyproject.toml") else set())
            continue
        rule = next((needs for pattern, needs in RULES if fnmatch(path, pattern)), None)
        if rule is None:
            return None
        sessions |= rule
    own = {name for name, project in projects.items() if str(project.folder.relative_to(root)) in folders}
    plugins = with_dependents(own, projects)
    if plugins & imported_by([root / "README.md", *(root / "docs").glob("*.md"), root / "tests" / "test_docs.py"]):
        sessions.add("docs")  # an example there uses it
    return Selection(sessions, plugins)
