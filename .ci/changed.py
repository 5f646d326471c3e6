"""Choose the sessions that test a change: git lists the changed files; imports and dependencies show who uses them."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
from pathlib import Path

from attrs import field, frozen

from projects import CORE, Project, imported_by, with_dependents

ALWAYS = {"lint"}
OF_A_PLUGIN = {"lint", "types"}
OF_THE_CORE = {"core", "core_with_plugins", "once", "processes"}
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
    ("tests/test_cost.py", {"cost"}),
    ("tests/test_docs.py", {"docs"}),
    ("tests/test_english.py", ALWAYS),
    ("tests/test_house.py", ALWAYS),
    ("tests/test_monorepo.py", {"monorepo"}),
    ("tests/test_packaging.py", {"packaging"}),
    ("tests/test_template.py", {"packaging"}),
    ("tests/test_tutorial.py", {"packaging"}),
    ("tests/*", OF_THE_CORE),
    ("benchmarks/*", {"cost", "once"}),
)
"""
Files outside the plugins to the sessions that use them; the first match counts, and of the core's sessions only those that
run a test file are needed for it. A file without a match needs every session.
"""


@frozen
class Selection:
    """The sessions to run: some by their name, and all of some plugins."""

    sessions: set[str] = field(factory=set)
    plugins: set[str] = field(factory=set)


class UnknownRevision(Exception):
    """Git cannot compare with this revision."""


def changed_files(root: Path, base: str) -> set[str]:
    """
    The files that have changed since this branch left another.

    Args:
        root: directory of the repository.
        base: the other branch, or any revision.

    Returns:
        Paths relative to the root: changed by commits, not yet committed, or untracked. A file that was moved is listed
        under both names.

    Raises:
        UnknownRevision: git does not know the revision, or it has no commit in common with HEAD.
    """
    start = _git(root, "merge-base", "--", base, "HEAD").strip()
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", start, "--")
    unknown = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return {path for path in (changed + unknown).split("\0") if path}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip() or "no commit in common with HEAD; in a shallow clone, fetch the history first"
        raise UnknownRevision(f"git {' '.join(arguments)}: {reason}")
    return done.stdout


def select(changed: set[str], projects: dict[str, Project], root: Path) -> Selection | None:
    """The fewest sessions that test a change; None when every session is needed."""
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
        sessions |= rule & _runs(path, projects[CORE]) if rule == OF_THE_CORE else rule
    own = {name for name, project in projects.items() if str(project.folder.relative_to(root)) in folders}
    plugins = with_dependents(own, projects)
    if any(projects[name].test_needs("skew") for name in plugins):
        sessions.add("skew")
    if plugins & imported_by([root / "README.md", *(root / "docs").glob("*.md"), root / "tests" / "test_docs.py"]):
        sessions.add("docs")  # an example there uses it
    return Selection(sessions, plugins)


def _runs(path: str, core: Project) -> set[str]:
    """The core's sessions that run a test file; all of them for a file that tests import."""
    if not fnmatch(path, "tests/test_*.py"):
        return OF_THE_CORE
    file = core.folder / path
    if file in core.test_files("once"):
        return {"once"}
    return {"processes"} if file in core.test_files("processes") else {"core", "core_with_plugins"}
