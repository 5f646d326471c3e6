"""Every check of this repository, for the core and for whatever lies under ``plugins/``.

``nox -- --base main`` runs what a change needs: ``.ci/changed.py`` computes it from git and the imports.

No plugin is named here. What one needs stands in its own ``pyproject.toml``: the libraries that it supports in the
extra ``instruments``, and under ``[tool.scout-test]`` the pins of the oldest set (``oldest``), pins for the newest
(``latest``), other distributions of this repository that its tests use (``requires``), test tools (``extra``), files
that take long and do not depend on the version of Python (``once``), to be run with one, and, of the core, files that
no installed plugin makes a difference to (``alone``). The oldest set includes the oldest core: the release that the
lower bound of the plugin's range names.
Tests meet built wheels, never the checkout, and run from an empty directory.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import nox
from attrs import frozen
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / ".ci"))

from changed import UnknownRevision, changed_files, select  # noqa: E402
from projects import CORE, Project, floors, read_projects, with_local_needs  # noqa: E402
from wheels import released_wheel, wheel  # noqa: E402

nox.needs_version = ">=2026.10"
nox.options.allow_parallel = True  # `nox -j 2`: much of a test is waiting for processes, sockets and a browser
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "docs", "packaging", "monorepo", "core", "plugin", "together"]

OF_THE_REPOSITORY = {
    session: [ROOT / "tests" / f"test_{name}.py" for name in names]
    for session, names in {
        "docs": ("docs", "cookbook"),
        "lint": ("english", "house"),
        "monorepo": ("monorepo",),
        "packaging": ("packaging", "template", "tutorial"),
    }.items()
}
"""Tests of the repository rather than of the core, by the session that has the tools that they need."""
NEED_THE_CHECKOUT = [file for files in OF_THE_REPOSITORY.values() for file in files]
CANNOT_BE_INSTALLED = ("not on ", "not with ")
"""How the reason of a skip begins that no machine could turn into a run; any other skip fails where CI is set."""

# An interpreter is used where it is found and never fetched. pyenv hides those that are not active: show them.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ.setdefault("NOX_DOWNLOAD_PYTHON", "never")
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, sorted(_pyenv.glob("versions/3.*/bin")))])

PROJECTS = read_projects(ROOT)
PLUGINS = [project for name, project in PROJECTS.items() if name != CORE]
PYTHONS = nox.project.python_versions(PROJECTS[CORE].facts)
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs this file, and that sessions without a list of Pythons have."""


def tools(*groups: str) -> list[str]:
    """The requirements of the root's dependency groups."""
    return list(nox.project.dependency_groups(PROJECTS[CORE].facts, *groups))


def install(
    session: nox.Session, projects: Iterable[Project], *requirements: str, releases: dict[str, str] | None = None
) -> None:
    """Install built wheels, each with the libraries that it supports, and what else is asked for; some as released."""
    wheels = []
    for name in with_local_needs((project.name for project in projects), PROJECTS):
        project, tag = PROJECTS[name], (releases or {}).get(name)
        extra = "[instruments]" if project.instruments else ""
        file = released_wheel(project, tag) if tag else wheel(project)
        wheels.append(f"{name}{extra} @ {file.as_uri()}")
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
            *without_base(session.posargs)[1],
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


@frozen
class Row:
    """One session of a plugin: which Python, and whether with the oldest or the newest libraries."""

    project: Project
    libraries: str
    python: str

    def __str__(self) -> str:
        return f"{self.project.short}, {self.libraries}, {self.python}"


def matrix() -> list[Row]:
    """Each plugin with the newest libraries on every Python that it supports, and with the oldest on the lowest."""
    rows = []
    for project in PLUGINS:
        supported = SpecifierSet(project.facts["project"]["requires-python"])
        pythons = [python for python in PYTHONS if python in supported]
        if project.test_needs("oldest") or floors(project, PROJECTS):
            rows.append(Row(project, "oldest", pythons[0]))
        rows += [Row(project, "latest", python) for python in pythons]
    return rows


def without_base(arguments: Iterable[str]) -> tuple[str | None, list[str]]:
    """The revision that ``--base`` names, and the other arguments, which are pytest's."""
    base, others, left = None, [], list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--base":
            base = left.pop(0) if left else ""
        elif argument.startswith("--base="):
            base = argument.removeprefix("--base=")
        else:
            others.append(argument)
    return base, others


def needed_since(base: str) -> list[str]:
    """The sessions that a change needs."""
    try:
        selection = select(changed_files(ROOT, base), PROJECTS, ROOT)
    except UnknownRevision as unknown:
        sys.exit(f"--base {base}: {unknown}")
    if selection is None:
        return list(nox.options.sessions or ())
    rows = [f"plugin({row})" for row in matrix() if row.project.name in selection.plugins]
    return [name for name in nox.options.sessions or () if name in selection.sessions] + rows


# nox itself takes no options but its own, so this one stands behind `--`, and is read before there are sessions.
_base, _ = without_base(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else ())
if _base is not None:
    nox.options.sessions = needed_since(_base)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The core's tests, with no plugin installed."""
    install(session, [PROJECTS[CORE]], *tools("test"))
    once = [] if session.python == OWN else PROJECTS[CORE].test_files("once")
    run_tests(session, ROOT / "tests", ignore=[*NEED_THE_CHECKOUT, *once])


@nox.session
@nox.parametrize(
    "python,name,libraries",
    [nox.param(row.python, row.project.name, row.libraries, id=str(row), tags=[row.project.short]) for row in matrix()],
)
def plugin(session: nox.Session, name: str, libraries: str) -> None:
    """One plugin's tests with the oldest or the newest libraries that it supports."""
    project = PROJECTS[name]
    install(
        session,
        [project, *(PROJECTS[other] for other in project.test_needs("requires"))],
        *tools("test"),
        *project.test_needs("extra"),
        *project.test_needs(libraries),
        releases=floors(project, PROJECTS) if libraries == "oldest" else None,
    )
    tests = project.folder / "tests"
    ignore = [] if session.python == OWN and libraries == "latest" else project.test_files("once")
    if set(tests.glob("test_*.py")) <= set(ignore):
        session.run("python", "-c", f"import {project.module}")
    else:
        run_tests(session, tests, ignore=ignore)


@nox.session
def together(session: nox.Session) -> None:
    """All plugins in one environment, with their tests and those of the core that their presence could upset."""
    extras = [line for project in PLUGINS for key in ("extra", "latest") for line in project.test_needs(key)]
    install(session, PLUGINS, *tools("test"), *extras)
    ran_already = [file for project in PROJECTS.values() for file in project.test_files("once") if OWN in PYTHONS]
    run_tests(
        session,
        ROOT / "tests",
        *(project.folder / "tests" for project in PLUGINS),
        ignore=[*NEED_THE_CHECKOUT, *ran_already, *PROJECTS[CORE].test_files("alone")],
    )


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, the rules of the house, and the table of plugins."""
    session.install(*tools("lint"))
    session.run("ruff", "check", str(ROOT))
    session.run("ruff", "format", "--check", str(ROOT))
    session.run("python", str(ROOT / "docs" / "generate.py"), "--check", "plugins")
    run_tests(session, *OF_THE_REPOSITORY["lint"])


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict, on the core and each plugin, against the newest libraries."""
    install(session, PLUGINS, *tools("types"))
    packages = [package for project in PROJECTS.values() for package in project.packages]
    session.run("mypy", *(str(package.relative_to(ROOT)) for package in packages))
    session.run("mypy", "noxfile.py", *map(str, sorted((ROOT / ".ci").glob("*.py"))), env={"MYPYPATH": ".ci"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings being errors, and run its examples and the README's."""
    install(session, PLUGINS, *tools("docs"))
    with tempfile.TemporaryDirectory(prefix="scout-docs-") as out:
        session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", str(ROOT / "docs"), out)
    run_tests(session, *OF_THE_REPOSITORY["docs"])


@nox.session
def packaging(session: nox.Session) -> None:
    """What a user downloads: the files of each wheel and sdist, and an empty environment that they go into."""
    install(session, [PROJECTS[CORE]], *tools("packaging"))
    run_tests(session, *OF_THE_REPOSITORY["packaging"])


@nox.session
def monorepo(session: nox.Session) -> None:
    """How plugins are tested and released here, tried in a copy of the repository with the real nox and git."""
    install(session, [PROJECTS[CORE]], *tools("monorepo"))
    run_tests(session, *OF_THE_REPOSITORY["monorepo"])


@nox.session(allow_parallel=False)
def release(session: nox.Session) -> None:
    """Commit, tag and build one distribution: `nox -s release -- scout-flask 1.2.0 --dry-run`; uploads nothing."""
    session.install(*tools("release"))
    session.run("python", str(ROOT / ".ci" / "release.py"), *session.posargs)


@nox.session(allow_parallel=False)
def bench(session: nox.Session) -> None:
    """What it costs; `nox -s bench -- --help` tells the options."""
    install(session, PLUGINS)
    session.run("python", str(ROOT / "benchmarks"), *without_base(session.posargs)[1])
