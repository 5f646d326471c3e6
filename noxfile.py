"""Every check of this repository, for the core and for whatever lies under ``plugins/``.

No plugin is named here. What one needs stands in its own ``pyproject.toml``: the libraries that it supports in the
extra ``instruments``, and under ``[tool.scout-test]`` the pins of the oldest set (``oldest``), pins for the newest
(``latest``), other distributions of this repository that its tests use (``requires``), test tools (``extra``), and
files that take long and do not depend on the version of Python (``once``), to be run with one.
Tests meet built wheels, never the checkout, and run from an empty directory.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nox
from nox.virtualenv import find_uv
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

nox.needs_version = ">=2026.10"
nox.options.allow_parallel = True  # `nox -j 2`: much of a test is waiting for processes, sockets and a browser
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "docs", "packaging", "core", "plugin", "together"]

ROOT = Path(__file__).resolve().parent
CORE = "scout-core"
WHEELS = ROOT / ".nox" / "wheels"
NEED_THE_CHECKOUT = [ROOT / "tests" / name for name in ("test_docs.py", "test_packaging.py", "test_template.py")]
"""Tests of the repository rather than of the core: `docs` and `packaging` run them with the tools that they need."""
CANNOT_BE_INSTALLED = ("not on ", "not with ")
"""How the reason of a skip begins that no machine could turn into a run; any other skip fails where CI is set."""

# An interpreter is used where it is found and never fetched. pyenv hides those that are not active: show them.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ.setdefault("NOX_DOWNLOAD_PYTHON", "never")
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, sorted(_pyenv.glob("versions/3.*/bin")))])

PROJECTS: dict[str, tuple[Path, dict[str, Any]]] = {}
for _file in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
    _facts = nox.project.load_toml(_file)
    PROJECTS[_facts["project"]["name"]] = _file.parent, _facts
PLUGINS = [name for name in PROJECTS if name != CORE]
PYTHONS = nox.project.python_versions(PROJECTS[CORE][1])
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs this file, and that sessions without a list of Pythons have."""


def tools(*groups: str) -> list[str]:
    """The requirements of the root's dependency groups."""
    return list(nox.project.dependency_groups(PROJECTS[CORE][1], *groups))


def test_needs(name: str, key: str) -> list[str]:
    """One list of a distribution's ``[tool.scout-test]``."""
    return PROJECTS[name][1].get("tool", {}).get("scout-test", {}).get(key, [])


def instruments(name: str) -> list[str]:
    """The libraries that a plugin supports, as requirements."""
    return PROJECTS[name][1]["project"].get("optional-dependencies", {}).get("instruments", [])


def with_local_needs(names: Iterable[str]) -> list[str]:
    """The distributions and all of this repository that they depend on, the core first."""
    found = {CORE: None}
    queue = list(names)
    while queue:
        name = queue.pop()
        found[name] = None
        needs = [canonicalize_name(Requirement(line).name) for line in PROJECTS[name][1]["project"]["dependencies"]]
        queue += [need for need in needs if need in PROJECTS and need not in found]
    return list(found)


@functools.cache
def wheel(name: str) -> Path:
    """The distribution's wheel, built from its sources as they are now; built again only when they have changed."""
    folder, facts = PROJECTS[name]
    packages = facts["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    found = [*folder.glob("*"), *(file for package in packages for file in (folder / package).rglob("*"))]
    digest = hashlib.sha256()
    for file in sorted(file for file in found if file.is_file() and file.suffix != ".pyc"):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    place = WHEELS / f"{name}-{digest.hexdigest()[:16]}"
    if not place.is_dir():
        build_wheel(folder, place)
    return next(place.glob("*.whl"))


def build_wheel(folder: Path, place: Path) -> None:
    """Build into a folder that appears when it is complete, so that sessions in parallel can share it."""
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
        shutil.rmtree(draft)  # another session was first


def install(session: nox.Session, names: Iterable[str], *requirements: str) -> None:
    """Install built wheels, each with the libraries that it supports, and what else is asked for."""
    wheels = []
    for name in with_local_needs(names):
        extra = "[instruments]" if instruments(name) else ""
        wheels.append(f"{name}{extra} @ {wheel(name).as_uri()}")
    session.install(*wheels, *requirements)


def run_tests(session: nox.Session, *paths: Path, ignore: Iterable[Path] = ()) -> None:
    """Run pytest from an empty directory; where CI is set, fail on a skip that could have been a run."""
    with tempfile.TemporaryDirectory(prefix="scout-") as empty, session.chdir(empty):
        report = Path(empty, "junit.xml")
        session.run(
            "pytest",
            "-q",
            "-pno:cacheprovider",  # sessions in parallel would write the same one
            f"--config-file={ROOT / 'pyproject.toml'}",
            f"--rootdir={ROOT}",
            f"--junitxml={report}",
            *(f"--ignore={path}" for path in ignore),
            *(str(path) for path in paths),
            *session.posargs,
            env={"XDG_STATE_HOME": empty},  # a collector that runs on this machine must not hear of the tests
        )
        skips = [
            f"{case.get('classname')}.{case.get('name')}: {skipped.get('message')}"
            for case in ElementTree.parse(report).iter("testcase")
            for skipped in case.iter("skipped")
            if skipped.get("type") == "pytest.skip" and not skipped.get("message", "").startswith(CANNOT_BE_INSTALLED)
        ]
    if skips and os.environ.get("CI"):
        session.error("skipped, though what they need can be installed:\n" + "\n".join(skips))


def run_once(name: str) -> list[Path]:
    """The test files of a distribution that one Python is enough for."""
    return [PROJECTS[name][0] / "tests" / file for file in test_needs(name, "once")]


def matrix() -> list[Any]:  # Any: nox names no type for a parameter
    """Each plugin with the newest libraries on every Python that it supports, and with the oldest on the lowest."""
    rows = []
    for name in PLUGINS:
        supported = SpecifierSet(PROJECTS[name][1]["project"]["requires-python"])
        pythons = [python for python in PYTHONS if python in supported]
        pairs = [(python, "latest") for python in pythons]
        if test_needs(name, "oldest"):
            pairs.insert(0, (pythons[0], "oldest"))
        short = name.removeprefix("scout-")
        rows += [
            nox.param(python, name, libraries, id=f"{short}, {libraries}, {python}", tags=[short])
            for python, libraries in pairs
        ]
    return rows


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The core's tests, with no plugin installed."""
    install(session, [CORE], *tools("test"))
    run_tests(session, ROOT / "tests", ignore=[*NEED_THE_CHECKOUT, *([] if session.python == OWN else run_once(CORE))])


@nox.session
@nox.parametrize("python,name,libraries", matrix())
def plugin(session: nox.Session, name: str, libraries: str) -> None:
    """One plugin's tests with the oldest or the newest libraries that it supports."""
    install(
        session,
        [name, *test_needs(name, "requires")],
        *tools("test"),
        *test_needs(name, "extra"),
        *test_needs(name, libraries),
    )
    tests = PROJECTS[name][0] / "tests"
    ignore = [] if session.python == OWN and libraries == "latest" else run_once(name)
    if set(tests.glob("test_*.py")) <= set(ignore):
        session.run("python", "-c", f"import {name.replace('-', '_')}")
    else:
        run_tests(session, tests, ignore=ignore)


@nox.session
def together(session: nox.Session) -> None:
    """All plugins in one environment, with all their tests and the core's."""
    extras = [line for name in PLUGINS for key in ("extra", "latest") for line in test_needs(name, key)]
    install(session, PLUGINS, *tools("test"), *extras)
    ran_already = [file for name in PROJECTS for file in run_once(name) if OWN in PYTHONS]
    run_tests(
        session,
        ROOT / "tests",
        *(PROJECTS[name][0] / "tests" for name in PLUGINS),
        ignore=[*NEED_THE_CHECKOUT, *ran_already],
    )


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    session.install(*tools("lint"))
    session.run("ruff", "check", str(ROOT))
    session.run("ruff", "format", "--check", str(ROOT))


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, on the core and each plugin, against the newest libraries."""
    install(session, PLUGINS, *tools("types"))
    packages = ["scout_core"]
    for name in PLUGINS:
        folder, facts = PROJECTS[name]
        paths = facts["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        packages += [str((folder / path).relative_to(ROOT)) for path in paths]
    session.run("mypy", *packages)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings being errors, and run its examples and the README's."""
    install(session, PLUGINS, *tools("docs"))
    with tempfile.TemporaryDirectory(prefix="scout-docs-") as out:
        session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", str(ROOT / "docs"), out)
    run_tests(session, ROOT / "tests" / "test_docs.py")


@nox.session
def packaging(session: nox.Session) -> None:
    """What a user downloads: the files of each wheel and sdist, and an empty environment that they go into."""
    install(session, [CORE], *tools("packaging"))
    run_tests(session, ROOT / "tests" / "test_packaging.py", ROOT / "tests" / "test_template.py")


@nox.session(allow_parallel=False)
def bench(session: nox.Session) -> None:
    """What it costs; `nox -s bench -- --help` tells the options."""
    install(session, PLUGINS)
    session.run("python", str(ROOT / "benchmarks"), *session.posargs)
