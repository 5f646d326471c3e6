"""The Python that instructions are counted on, and the revision to compare with where no counts are stored for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

BASELINES = Path(__file__).resolve().parent.parent / "benchmarks" / "baselines"


def stored_versions(folder: Path = BASELINES) -> list[str]:
    """The versions of Python that counts are stored for, with their patch level."""
    return sorted(file.stem for file in folder.glob("*.json"))


def python_for_counts(fallback: str, folder: Path = BASELINES) -> str:
    """Return a Python of this machine that counts are stored for; without any, the fallback."""
    return next((version for version in stored_versions(folder) if is_here(version)), fallback)


def is_here(version: str, path: str | None = None) -> bool:
    """Whether an interpreter of exactly this version is on the path."""
    folders = (os.environ["PATH"] if path is None else path).split(os.pathsep)
    name = f"python{version.rpartition('.')[0]}"
    found = {os.path.realpath(python) for folder in folders if folder and (python := shutil.which(name, path=folder))}
    return any(_version_of(python) == version for python in sorted(found))


def stored_with(folder: Path = BASELINES) -> str | None:
    """The commit that stored the newest counts; None without git, and in a clone that does not reach back to it."""
    found = _output(["git", "log", "-1", "--format=%H", "--", str(folder)], folder)
    is_complete = _output(["git", "rev-parse", "--is-shallow-repository"], folder) == "false"
    return (
        found
        if found and (is_complete or _output(["git", "rev-parse", "--verify", "-q", f"{found}^"], folder))
        else None
    )


def _version_of(python: str) -> str:
    return _output([python, "-c", "import platform; print(platform.python_version())"], Path())


def _output(command: Iterable[str], folder: Path) -> str:
    """Output of a command; empty when it fails."""
    try:
        return subprocess.run([*command], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
