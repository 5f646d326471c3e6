"""Wheels of this repository's distributions, each built once from the same sources."""

from __future__ import annotations

import functools
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from nox.virtualenv import find_uv

from projects import ROOT, Project

WHEELS = ROOT / ".nox" / "wheels"


@functools.cache
def wheel(project: Project) -> Path:
    """The distribution's wheel, built from its sources in the working tree; built again only when they have changed."""
    found = [*project.folder.glob("*"), *(file for folder in project.sources for file in folder.rglob("*"))]
    digest = hashlib.sha256()
    for file in sorted(file for file in found if file.is_file() and file.suffix != ".pyc"):
        digest.update(f"{file.relative_to(project.folder)}\0".encode() + file.read_bytes() + b"\0")
    place = WHEELS / f"{project.name}-{digest.hexdigest()[:16]}"
    if not place.is_dir():
        _build(project.folder, place)
    return next(place.glob("*.whl"))


def wheel_at(project: Project, revision: str) -> Path:
    """The distribution's wheel, built from its sources in a revision, such as the tag of a release."""
    commit = subprocess.run(
        ["git", "rev-parse", f"{revision}^{{commit}}"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    place = WHEELS / f"{project.name}-at-{commit.stdout[:16]}"
    if not place.is_dir():
        tree = f"{revision}:{project.folder.relative_to(ROOT)}".removesuffix(".")
        archive = subprocess.run(["git", "archive", "--format=zip", tree], cwd=ROOT, check=True, capture_output=True)
        with tempfile.TemporaryDirectory(prefix="scout-") as folder:
            with zipfile.ZipFile(io.BytesIO(archive.stdout)) as files:
                files.extractall(folder)
            _build(Path(folder), place)
    return next(place.glob("*.whl"))


def _build(folder: Path, place: Path) -> None:
    """Build into a folder that appears only when it is complete, so that parallel sessions can share it."""
    WHEELS.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=WHEELS))
    has_uv, uv, *_ = find_uv()
    if has_uv:
        command = [uv, "build", "--quiet", "--no-sources", "--wheel", "--out-dir"]
    else:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, str(draft), str(folder)], check=True)
    try:
        draft.rename(place)
    except OSError:
        shutil.rmtree(draft)  # a parallel session has built it
