"""Release one distribution: set its version, write its changelog, commit, tag, and build its archives.

Run it with ``nox -s release -- NAME VERSION [--dry-run]``. The release is made in a copy of the repository, and printed.
Without ``--dry-run`` the commit, tag and archives are then copied to the repository, all or none. Nothing is uploaded:
the commands that publish are printed.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from projects import CORE, ROOT, VERSION_LINE, Project, lower_bound, read_projects, released
from rules import problems


def main() -> int:
    """Run the command; return 0 when the release was made, 1 when it was refused, 2 when the arguments are invalid."""
    parser = argparse.ArgumentParser(prog="nox -s release --", description=__doc__)
    parser.add_argument("name", help="distribution to release, such as scout-flask")
    parser.add_argument("version", help="version to release, such as 1.2.0")
    parser.add_argument("--dry-run", action="store_true", help="print the release without making it")
    given = parser.parse_args()
    projects = read_projects(ROOT)
    if given.name not in projects:
        write(f"unknown distribution {given.name!r}; {_suggestion(given.name, projects)}", error=True)
        return 2
    project = projects[given.name]
    if found := problems(project, given.version, projects):
        write(f"cannot release {given.name} {given.version}:", *(f"- {problem}" for problem in found), error=True)
        return 1
    with tempfile.TemporaryDirectory(prefix="scout-release-") as folder:
        copy = Path(folder, "repository")
        git(ROOT, "clone", "--quiet", *_identity(), str(ROOT), str(copy))
        tag = make(copy, read_projects(copy)[given.name], given.version)
        write(f"{'Would release' if given.dry_run else 'Released'} {tag}; the version was {project.version}.", "")
        show(copy, tag, project)
        if not given.dry_run:
            take_over(copy, tag)
    return 0


def make(root: Path, project: Project, version: str) -> str:
    """Make the release in a repository; return its tag."""
    tag = f"{project.name}-{version}"
    write_version(project, version)
    write_changelog(root, project, version)
    parts = ("plugins", "known", "costs") if project.name == CORE else ("plugins",)
    run(root, sys.executable, str(root / "docs" / "generate.py"), *parts)
    git(root, "commit", "--quiet", "--all", "--message", f"{project.name}: release {version}")
    git(root, "tag", "--annotate", "--message", f"{project.name} {version}", tag)
    run(project.folder, sys.executable, "-m", "hatchling", "build", "--directory", str(root / "dist"))
    return tag


def show(root: Path, tag: str, project: Project) -> None:
    """Print the release, and the commands that publish it."""
    archives = sorted((root / "dist").iterdir())
    write("Commit:", "", git(root, "show", "--format=%s", "--no-color", "--no-renames", "HEAD").rstrip(), "")
    write(f"Tag: {tag}", "")
    for archive in archives:
        write(f"Files in dist/{archive.name}:", *(f"  {name}" for name in names_in(archive)), "")
    if unreleased := unreleased_needs(project):
        write(f"Release these dependencies first: {', '.join(unreleased)}.", "")
    branch = git(ROOT, "branch", "--show-current").strip() or "HEAD:main"
    write(
        "To publish it, run:",
        "",
        f"  git push --atomic origin {branch} {tag}",
        f"  uv publish {' '.join(f'dist/{archive.name}' for archive in archives)}",
    )


def take_over(copy: Path, tag: str) -> None:
    """Copy the commit, tag and archives from a copy into this repository."""
    git(ROOT, "fetch", "--quiet", str(copy), "HEAD", f"refs/tags/{tag}:refs/tags/{tag}")
    git(ROOT, "merge", "--quiet", "--ff-only", "FETCH_HEAD")
    shutil.copytree(copy / "dist", ROOT / "dist", dirs_exist_ok=True)


def write_version(project: Project, version: str) -> None:
    """Set the version in the file that defines it."""
    text = project.version_file.read_text(encoding="utf-8")
    text, _ = VERSION_LINE.subn(lambda found: f'{found[1]} = "{version}"', text, count=1)
    project.version_file.write_text(text, encoding="utf-8")


def write_changelog(root: Path, project: Project, version: str) -> None:
    """Move the fragments into the changelog."""
    options = ("--config", str(root / "pyproject.toml"), "--dir", str(project.folder), "--name", project.name)
    run(root, sys.executable, "-m", "towncrier", "build", "--yes", "--version", version, *options)


def names_in(archive: Path) -> list[str]:
    """The files of a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return sorted(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return sorted(sdist.getnames())


def unreleased_needs(project: Project) -> list[str]:
    """Dependencies in this repository whose lower bound has no tag, each with that version."""
    projects = read_projects(ROOT)
    needs = {need.name: lower_bound(need) for need in project.requirements if need.name in projects}
    return [f"{name} {bound}" for name, bound in needs.items() if bound not in released(name)]


def _suggestion(name: str, projects: dict[str, Project]) -> str:
    near = difflib.get_close_matches(name, [*projects, *(project.short for project in projects.values())], n=1)
    full = [project.name for project in projects.values() if near and near[0] in (project.name, project.short)]
    return f"did you mean {full[0]}?" if full else f"expected one of {', '.join(projects)}"


def _identity() -> list[str]:
    """Options of ``git clone`` that keep the committer of this repository."""
    found = []
    for key in ("user.name", "user.email"):
        value = subprocess.run(["git", "config", key], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        found += ["--config", f"{key}={value}"] if value else []
    return found


def git(root: Path, *arguments: str) -> str:
    """Run git; return its output."""
    return run(root, "git", *arguments)


def run(folder: Path, *command: str) -> str:
    """Run a command; return its output, or print it and exit when the command fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        write(f"{' '.join(command)} failed:", done.stdout + done.stderr, error=True)
        sys.exit(1)
    return done.stdout


def write(*lines: str, error: bool = False) -> None:
    """Print lines."""
    (sys.stderr if error else sys.stdout).write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
