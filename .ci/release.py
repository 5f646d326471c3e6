"""Release one distribution: its version, its changelog, a commit, a tag, and what is to be uploaded.

Run by ``nox -s release -- NAME VERSION [--dry-run]``. All of it happens in a copy of the repository and is shown;
without ``--dry-run`` the repository then takes over commit, tag and archives, all or none. Nothing leaves this
machine: the commands that publish are printed.
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
    """Read the command line; 0 when it was released, 1 when something stands against it, 2 when it was not understood."""
    parser = argparse.ArgumentParser(prog="nox -s release --", description=__doc__)
    parser.add_argument("name", help="of the distribution: scout-flask")
    parser.add_argument("version", help="that it shall have: 1.2.0")
    parser.add_argument("--dry-run", action="store_true", help="show what would happen, and do nothing")
    given = parser.parse_args()
    projects = read_projects(ROOT)
    if given.name not in projects:
        say(f"there is no {given.name} here{_did_you_mean(given.name, projects)}", error=True)
        return 2
    project = projects[given.name]
    if found := problems(project, given.version, projects):
        say(f"{given.name} {given.version} cannot be released:", *(f"- {problem}" for problem in found), error=True)
        return 1
    with tempfile.TemporaryDirectory(prefix="scout-release-") as folder:
        copy = Path(folder, "repository")
        git(ROOT, "clone", "--quiet", *_identity(), str(ROOT), str(copy))
        tag = make(copy, read_projects(copy)[given.name], given.version)
        say(f"{'This would release' if given.dry_run else 'Released'} {tag}; the sources said {project.version}.", "")
        show(copy, tag, project)
        if not given.dry_run:
            take_over(copy, tag)
    return 0


def make(root: Path, project: Project, version: str) -> str:
    """Write, commit, tag and build in a repository; the tag."""
    tag = f"{project.name}-{version}"
    write_version(project, version)
    write_changelog(root, project, version)
    parts = ("plugins", "known") if project.name == CORE else ("plugins",)
    run(root, sys.executable, str(root / "docs" / "generate.py"), *parts)
    git(root, "commit", "--quiet", "--all", "--message", f"{project.name}: release {version}")
    git(root, "tag", "--annotate", "--message", f"{project.name} {version}", tag)
    run(project.folder, sys.executable, "-m", "hatchling", "build", "--directory", str(root / "dist"))
    return tag


def show(root: Path, tag: str, project: Project) -> None:
    """Say all that was made, and what is left to a person."""
    archives = sorted((root / "dist").iterdir())
    say("The commit:", "", git(root, "show", "--format=%s", "--no-color", "--no-renames", "HEAD").rstrip(), "")
    say(f"The tag: {tag}", "")
    for archive in archives:
        say(f"dist/{archive.name} holds:", *(f"  {name}" for name in names_in(archive)), "")
    if unreleased := unreleased_needs(project):
        say(f"It needs what is not released yet: {', '.join(unreleased)}. Release that first.", "")
    branch = git(ROOT, "branch", "--show-current").strip() or "HEAD:main"
    say(
        "What publishes it, and is left to you:",
        "",
        f"  git push --atomic origin {branch} {tag}",
        f"  uv publish {' '.join(f'dist/{archive.name}' for archive in archives)}",
    )


def take_over(copy: Path, tag: str) -> None:
    """Bring into this repository what was made in its copy."""
    git(ROOT, "fetch", "--quiet", str(copy), "HEAD", f"refs/tags/{tag}:refs/tags/{tag}")
    git(ROOT, "merge", "--quiet", "--ff-only", "FETCH_HEAD")
    shutil.copytree(copy / "dist", ROOT / "dist", dirs_exist_ok=True)


def write_version(project: Project, version: str) -> None:
    """Write it in the one place that tells it."""
    text = project.version_file.read_text(encoding="utf-8")
    text, _ = VERSION_LINE.subn(lambda found: f'{found[1]} = "{version}"', text, count=1)
    project.version_file.write_text(text, encoding="utf-8")


def write_changelog(root: Path, project: Project, version: str) -> None:
    """Move the fragments into the changelog."""
    told = ("--config", str(root / "pyproject.toml"), "--dir", str(project.folder), "--name", project.name)
    run(root, sys.executable, "-m", "towncrier", "build", "--yes", "--version", version, *told)


def names_in(archive: Path) -> list[str]:
    """The files of a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return sorted(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return sorted(sdist.getnames())


def unreleased_needs(project: Project) -> list[str]:
    """What it depends on of this repository, in a version that has no tag."""
    projects = read_projects(ROOT)
    needs = {one.name: lower_bound(one) for one in project.requirements if one.name in projects}
    return [f"{name} {bound}" for name, bound in needs.items() if bound not in released(name)]


def _did_you_mean(name: str, projects: dict[str, Project]) -> str:
    near = difflib.get_close_matches(name, [*projects, *(project.short for project in projects.values())], n=1)
    full = [project.name for project in projects.values() if near and near[0] in (project.name, project.short)]
    return f"; did you mean {full[0]}?" if full else f"; there are {', '.join(projects)}"


def _identity() -> list[str]:
    """Options that give a copy the name that this repository's commits carry."""
    found = []
    for key in ("user.name", "user.email"):
        value = subprocess.run(["git", "config", key], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        found += ["--config", f"{key}={value}"] if value else []
    return found


def git(root: Path, *arguments: str) -> str:
    """What git answers."""
    return run(root, "git", *arguments)


def run(folder: Path, *command: str) -> str:
    """What a command answers; when it fails, it is told and this ends."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        say(f"{' '.join(command)} failed:", done.stdout + done.stderr, error=True)
        sys.exit(1)
    return done.stdout


def say(*lines: str, error: bool = False) -> None:
    """Say it to who called."""
    (sys.stderr if error else sys.stdout).write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main())
