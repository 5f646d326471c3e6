"""
The revision of the application's code, from where platforms and deployment tools leave it. No process is started.

Sources: Heroku's dyno metadata, Kamal's ``KAMAL_VERSION``, Capistrano's ``REVISION``, Mina's ``.mina_git_revision``, and
git's repository layout (``gitrepository-layout(5)``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLES: Final = ("HEROKU_BUILD_COMMIT", "HEROKU_SLUG_COMMIT", "KAMAL_VERSION")
"""Set by platforms, the newest name first."""
FILES: Final = ("REVISION", ".mina_git_revision")
"""Written by deployment tools into the folder of the release; their first word is the revision."""
_LONGEST: Final = 1024
"""Bytes of a file that are read: more is not a revision."""
_MOST_REFS: Final = 1_000_000
"""Bytes of ``packed-refs`` that are read."""
_WORD: Final = re.compile(r"[\w.+/-]{4,100}")
_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""SHA-1 or SHA-256."""


def find_revision(environment: Mapping[str, str], folder: Path) -> tuple[str, str] | None:
    """
    Return the revision and where it was found; None: it is not known.

    Args:
        folder: the application's; those above it are searched, too, up to the first that has any of the files.
    """
    for variable in VARIABLES:
        if environment.get(variable, "").strip():
            return environment[variable].strip(), f"environment {variable}"
    for place in (folder, *folder.parents):
        for name in FILES:
            revision = _word(place / name)
            if revision is not None:
                return revision, str(place / name)
        revision = _of_repository(place / ".git")
        if revision is not None:
            return revision, str(place / ".git")
    return None


def _of_repository(git: Path) -> str | None:
    """Return the commit that is checked out; None: there is not any, as in a new repository."""
    link = _read(git)  # a worktree or a submodule has a file that names the folder
    if link.startswith("gitdir:"):
        git = git.parent / link.removeprefix("gitdir:").strip()
    head = _read(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return head if _SHA.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    if not name.startswith("refs/") or ".." in name:
        return None
    common = _read(git / "commondir").strip()  # of a worktree: the folder of the whole repository
    for folder in (git, git / common) if common else (git,):
        commit = _read(folder / name).strip()
        if _SHA.fullmatch(commit):
            return commit
        for line in _read(folder / "packed-refs", _MOST_REFS).splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name and _SHA.fullmatch(commit):
                return commit
    return None


def _word(path: Path) -> str | None:
    words = _read(path).split()
    return words[0] if words and _WORD.fullmatch(words[0]) else None


def _read(path: Path, longest: int = _LONGEST) -> str:
    """Return the beginning of a file; empty if it cannot be read."""
    try:
        if not path.is_file():  # a FIFO would block
            return ""
        with path.open("rb") as file:
            return file.read(longest).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
