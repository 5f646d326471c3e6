"""Every check of this repository, for the core and for every plugin under ``plugins/``.

``nox -- --base main`` runs what a change needs: ``.ci/changed.py`` computes it from git and the imports.

No plugin is named here. Each one's ``pyproject.toml`` has what its tests need: the supported libraries in the extra
``instruments``, and the table ``[tool.scout-test]``, whose keys ``docs/publishing.md`` explains. The core has three keys of
its own for lists of files: ``once`` (slow, and independent of the Python), ``processes`` (nearly every test starts a
process: tested on the lowest and the highest Python), and ``wrapt`` (also tested with its oldest version, and without its C
extension). The files in ``reliability`` have tests that are longer in the session of that name.
Tests run against built wheels, never the checkout, from an empty directory.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / ".ci"))

from changed import UnknownRevision, changed_files, select  # noqa: E402
from counting import python_for_counts, stored_versions, stored_with  # noqa: E402
from environments import plan  # noqa: E402
from judge import Judge  # noqa: E402
from limited import Unfinished  # noqa: E402
from projects import CORE, LATEST, OLDEST, Project, floors, read_projects, released, with_local_needs  # noqa: E402
from skew import announces_break, base_revision, extract, project_at, works_with  # noqa: E402
from upstream import NoSuite, NotAvailable, Suite, chosen, part_of, store, suite_of  # noqa: E402
from wheels import wheel, wheel_at  # noqa: E402

nox.needs_version = ">=2026.10"
nox.options.allow_parallel = True  # `nox -j 2`
nox.options.report = os.environ.get("NOX_REPORT")
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

OF_THE_REPOSITORY = {
    session: [ROOT / "tests" / f"test_{name}.py" for name in names]
    for session, names in {
        "cost": ("cost",),
        "docs": ("docs", "cookbook"),
        "lint": ("english", "house"),
        "monorepo": ("monorepo",),
        "packaging": ("packaging", "template", "tutorial"),
    }.items()
}
"""Tests of the repository rather than of the core, by the session with the tools that they need."""
NEED_THE_CHECKOUT = [file for files in OF_THE_REPOSITORY.values() for file in files]
OLDEST_WRAPT = "wrapt==1.17.*"
"""Its second version lacks what the first has, and the reverse; see ``scout_core/proxies.py``."""
TWO_AT_A_TIME = ("-n2", "--dist=loadfile")
"""For pytest: in two processes, whose garbage collections take less time than those of one with the results of thousands of tests."""
LONGEST_TEST = 900
"""Seconds after which a test is ended, and the stacks of its threads printed: one that never ends would keep all others from ending."""
TRIED_AGAIN = 3
"""At most so many failed tests of a run are tried once more where CI is set: two at a time on a busy machine may lack time."""
CANNOT_BE_INSTALLED = ("not on ", "not with ")
"""How the reason of a skip begins when nothing could be installed to prevent it; any other skip fails where CI is set."""

# Use the interpreters that are here and download none. pyenv hides those that are not active, so add them to the path.
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ.setdefault("NOX_DOWNLOAD_PYTHON", "never")
_pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, sorted(_pyenv.glob("versions/3.*/bin")))])

# Tests start thousands of processes; without compiled files, each would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROJECTS = read_projects(ROOT)
PLUGINS = [project for name, project in PROJECTS.items() if name != CORE]
PYTHONS = nox.project.python_versions(PROJECTS[CORE].facts)
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that runs this file. Sessions without a list of Pythons use it."""
LOWEST, HIGHEST = PYTHONS[0], PYTHONS[-1]
"""By default, the core runs on the one without plugins, on the other with all; plugins with the oldest libraries, then the newest."""
PLAN = plan(PROJECTS, PYTHONS)
nox.options.sessions = [
    f"core-{LOWEST}", "processes", "once", f"core_with_plugins-{HIGHEST}", f"plugins-{HIGHEST}", "oldest", "packaging", "monorepo",
    "skew", "upstream_parts", "docs",
    *(f"plugin({row})" for row in PLAN.by_default()), "types", "lint", "cost",
]  # fmt: skip
"""What `nox` runs, in the order of the functions below: slow ones first, for the sake of `nox -j`. Any other is run by its name."""


def tools(*groups: str) -> list[str]:
    """The requirements of the root's dependency groups."""
    return list(nox.project.dependency_groups(PROJECTS[CORE].facts, *groups))


def install(
    session: nox.Session, projects: Iterable[Project], *requirements: str, revisions: Mapping[str, str] | None = None
) -> None:
    """
    Install built wheels, each with the libraries that it supports, and further requirements.

    Args:
        revisions: distribution to the revision that its wheel is built from, where that is not the working tree.
    """
    session.install(*wheels(projects, revisions=revisions), *requirements)


def wheels(projects: Iterable[Project], *, revisions: Mapping[str, str] | None = None) -> list[str]:
    """The requirements that install these distributions, and those of this repository that they depend on, from wheels."""
    found = []
    for name in with_local_needs((project.name for project in projects), PROJECTS):
        project, revision = PROJECTS[name], (revisions or {}).get(name)
        extra = "[instruments]" if project.instruments else ""
        file = wheel_at(project, revision) if revision else wheel(project)
        found.append(f"{name}{extra} @ {file.as_uri()}")
    return found


def install_plugins(
    session: nox.Session, plugins: list[Project], libraries: str = LATEST, *, revisions: Mapping[str, str] | None = None
) -> None:
    """Install plugins and what their tests need into one environment."""
    needs = [line for project in plugins for key in ("extra", libraries) for line in project.test_needs(key)]
    required = [PROJECTS[name] for project in plugins for name in project.test_needs("requires")]
    try:
        install(session, [*plugins, *required], *tools("test"), *needs, revisions=revisions)
    except CommandFailed:
        if len(plugins) > 1:
            session.warn(
                f"when libraries conflict, test one of the plugins apart: apart = [{libraries!r}] below "
                "[tool.scout-test] in its pyproject.toml"
            )
        raise


def run_tests(
    session: nox.Session,
    *paths: Path,
    ignore: Iterable[Path] = (),
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    longest: int = LONGEST_TEST,
) -> None:
    """
    Run pytest from an empty directory.

    Where CI is set, a test fails that was skipped for lack of something installable; and a few failed tests are tried once
    more, one after the other, each of which the summary names, as such a test may have a fault or find one.
    """
    in_ci = bool(os.environ.get("CI"))
    with tempfile.TemporaryDirectory(prefix="scout-") as empty, session.chdir(empty):
        env: dict[str, str | None] = {"XDG_STATE_HOME": empty}  # no collector of this machine receives reports of tests

        def cases_of(name: str, *more: str, success_codes: Iterable[int] = (0,)) -> list[ElementTree.Element]:
            report = Path(empty, name)
            session.run(
                "pytest",
                "-q",
                f"--override-ini=cache_dir={Path(empty, 'cache')}",  # sessions in parallel would write to the same one
                f"--config-file={ROOT / 'pyproject.toml'}",
                f"--rootdir={ROOT}",
                f"--junitxml={report}",
                f"--override-ini=faulthandler_timeout={longest}",
                "--override-ini=faulthandler_exit_on_timeout=true",
                *more,
                *(f"--ignore={path}" for path in ignore),
                *(str(path) for path in paths),
                *without_base(session.posargs)[1],
                env=env | dict(environment or {}),
                success_codes=success_codes,
            )
            return list(ElementTree.parse(report).iter("testcase"))

        cases = cases_of("first.xml", *options, success_codes=(0, 1) if in_ci else (0,))
        if failed := [case for case in cases if {"failure", "error"}.intersection(part.tag for part in case)]:
            if len(failed) > TRIED_AGAIN:
                session.error(f"{len(failed)} tests failed")
            cases += cases_of("second.xml", "--last-failed", "--last-failed-no-failures=none")
            for case in failed:
                session.warn(f"PASSED WHEN TRIED AGAIN {case.get('classname')}::{case.get('name')}")
        for case in cases:
            for found in case.iter("property"):
                session.log(f"{case.get('name')}: {found.get('name')}: {found.get('value')}")
        skips = [
            f"{case.get('classname')}.{case.get('name')}: {skipped.get('message')}"
            for case in cases
            for skipped in case.iter("skipped")
            if skipped.get("type") == "pytest.skip" and not skipped.get("message", "").startswith(CANNOT_BE_INSTALLED)
        ]
    if skips and in_ci:
        session.error("these tests were skipped, and what they need can be installed:\n" + "\n".join(skips))


def run_plugin_tests(session: nox.Session, plugins: list[Project], *, ignore: Iterable[Path] = ()) -> None:
    """Run the tests of plugins; each ``isolated`` file in a pytest of its own, as it changes its process for good."""
    ignored = {*ignore, *(file for project in plugins for file in project.test_files("skew"))}
    isolated = [file for project in plugins for file in project.test_files("isolated") if file not in ignored]
    folders = [
        project.folder / "tests"
        for project in plugins
        if not ignored.union(isolated).issuperset((project.folder / "tests").glob("test_*.py"))
    ]
    if folders:
        run_tests(session, *folders, ignore=[*ignored, *isolated], options=TWO_AT_A_TIME)
    for file in isolated:
        run_tests(session, file)


def without_base(arguments: Iterable[str]) -> tuple[str | None, list[str]]:
    """The revision after ``--base``, and the other arguments, which are for pytest."""
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
    rows = [f"plugin({row})" for row in PLAN.rows if row.project.name in selection.plugins]
    return [name for name in nox.options.sessions or () if name.partition("-")[0] in selection.sessions] + rows


# nox accepts only its own options, so this one comes after `--`. It is read here, before sessions are chosen.
_base, _ = without_base(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else ())
if _base is not None and "skew" not in sys.argv:  # which is run against that revision
    nox.options.sessions = needed_since(_base)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """The core's tests that start few processes, with no plugin installed."""
    install(session, [PROJECTS[CORE]], *tools("test"))
    elsewhere = [file for key in ("once", "processes") for file in PROJECTS[CORE].test_files(key)]
    run_tests(session, ROOT / "tests", ignore=[*NEED_THE_CHECKOUT, *elsewhere], options=TWO_AT_A_TIME)
    if session.python in (LOWEST, HIGHEST):
        files = PROJECTS[CORE].test_files("wrapt")
        run_tests(session, *files, environment={"WRAPT_DISABLE_EXTENSIONS": "1"})
        session.install(OLDEST_WRAPT)
        run_tests(session, *files)


@nox.session(python=[LOWEST, HIGHEST])
def processes(session: nox.Session) -> None:
    """The core's tests that start a process or more each, with no plugin installed."""
    install(session, [PROJECTS[CORE]], *tools("test"))
    run_tests(session, *PROJECTS[CORE].test_files("processes"), options=TWO_AT_A_TIME)


@nox.session
def once(session: nox.Session) -> None:
    """Slow tests, of the core and of plugins, that do not depend on the Python: with all plugins installed."""
    plugins = PLAN.shared(LATEST, OWN)
    install_plugins(session, plugins)
    files = [file for project in [PROJECTS[CORE], *plugins] for file in project.test_files("once")]
    run_tests(session, *files, options=TWO_AT_A_TIME)


@nox.session(python=PYTHONS)
def core_with_plugins(session: nox.Session) -> None:
    """The core's tests that start few processes, with all plugins installed."""
    install_plugins(session, PLAN.shared(LATEST, str(session.python)))
    elsewhere = [file for key in ("once", "processes") for file in PROJECTS[CORE].test_files(key)]
    run_tests(session, ROOT / "tests", ignore=[*NEED_THE_CHECKOUT, *elsewhere], options=TWO_AT_A_TIME)


@nox.session(python=PYTHONS)
def plugins(session: nox.Session) -> None:
    """The tests of all plugins in one environment, with the newest libraries."""
    shared = PLAN.shared(LATEST, str(session.python))
    install_plugins(session, shared)
    run_plugin_tests(session, shared, ignore=[file for project in shared for file in project.test_files("once")])


@nox.session(python=PYTHONS[:1])
def oldest(session: nox.Session) -> None:
    """The tests of all plugins in one environment, with the oldest libraries and the oldest core that they support."""
    shared = PLAN.shared(OLDEST, str(session.python))
    install_plugins(session, shared, OLDEST, revisions=PLAN.floors)
    run_plugin_tests(session, shared, ignore=[file for project in shared for file in project.test_files("once")])


@nox.session
@nox.parametrize(
    "python,name,libraries",
    [
        nox.param(row.python, row.project.name, row.libraries, id=str(row), tags=[row.project.short])
        for row in PLAN.rows
    ],
)
def plugin(session: nox.Session, name: str, libraries: str) -> None:
    """One plugin's tests in an environment of its own."""
    project = PROJECTS[name]
    install_plugins(session, [project], libraries, revisions=floors(project, PROJECTS) if libraries == OLDEST else None)
    ignore = [] if session.python == OWN and libraries == LATEST else project.test_files("once")
    if set((project.folder / "tests").glob("test_*.py")) <= set(ignore):
        session.run("python", "-c", f"import {project.module}")
    else:
        run_plugin_tests(session, [project], ignore=ignore)


@nox.session
def skew(session: nox.Session) -> None:
    """An earlier revision against this one: its plugins on this core, its agent with this collector, and the reverse."""
    base = base_revision(without_base(session.posargs)[0])
    if base is None:
        session.skip("this clone has no earlier revision")
    session.log(f"the earlier revision is {base}")
    shared = PLAN.shared(LATEST, OWN)
    version = PROJECTS[CORE].version
    described = {project: project_at(project, base) for project in shared}
    earlier = [project for project, then in described.items() if then]
    able = [project for project, then in described.items() if then and works_with(then, version)]
    if announces_break(shared, version):
        session.warn(
            f"a plugin's range includes what follows scout-core {version}: earlier plugins need not work with it"
        )
        able = []
    install_plugins(session, able, revisions={project.name: base for project in able})
    with tempfile.TemporaryDirectory(prefix="scout-") as folder:
        tests = [extract(project, base, "tests", Path(folder)) for project in able]
        if files := [file for place in tests for file in place.glob("test_conformance.py")]:
            run_tests(session, *files)
        for project in earlier:
            if files := project.test_files("skew"):
                environment = both_revisions(session, project, base, Path(folder))
                if base in released(CORE).values() and project in able:
                    environment["MIXED_PYTHON"] = str(Path(session.bin, "python"))
                run_tests(session, *files, options=["--noconftest"], environment=environment)


def both_revisions(session: nox.Session, project: Project, base: str, folder: Path) -> dict[str, str]:
    """Environments with a plugin of the earlier revision and of this one; environment variables with their Pythons."""
    found = {}
    for name, revision in (("earlier", base), ("current", None)):
        place = folder / f"{project.short}-{name}"
        python = place / "bin" / "python"
        session.run("python", "-m", "venv", "--without-pip", str(place))
        requirements = wheels([project], revisions=dict.fromkeys(PROJECTS, revision) if revision else None)
        if session.venv_backend == "uv":
            session.install(f"--python={python}", *requirements)
        else:
            session.run("python", "-m", "pip", f"--python={python}", "install", "--quiet", *requirements)
        found[f"{name.upper()}_PYTHON"] = str(python)
    return found


@nox.session
def upstream(session: nox.Session) -> None:
    """
    Run the test suite of a plugin's library without and with the plugin; fails on any difference: `nox -s upstream -- flask`.

    Further arguments are for pytest; the result is stored only without them. It needs the package index.
    """
    try:
        projects, options = chosen(without_base(session.posargs)[1], PLUGINS)
        suites = [(project, suite_of(project)) for project in projects]
    except NoSuite as error:
        session.error(str(error))
    judge_all(session, suites, options, is_whole=not options)


@nox.session
def upstream_parts(session: nox.Session) -> None:
    """Run a small part of the test suite of each plugin's library, as `upstream` runs all of it."""
    try:
        projects, options = chosen(without_base(session.posargs)[1], PLUGINS)
        suites = [(project, part_of(suite)) for project in projects if (suite := suite_of(project)).part]
    except NoSuite as error:
        session.error(str(error))
    judge_all(session, suites, options, is_whole=False)


def judge_all(
    session: nox.Session, suites: Iterable[tuple[Project, Suite]], options: Sequence[str], *, is_whole: bool
) -> None:
    """Run suites without and with their plugins; ``is_whole``: store the results."""
    failed = []
    for project, suite in suites:
        involved = [PROJECTS[name] for name in with_local_needs([project.name], PROJECTS)]
        with tempfile.TemporaryDirectory(prefix="scout-upstream-") as folder:
            judge = Judge(session, project, suite, involved, options, Path(folder))
            try:
                problems = (summary := judge.compare())["problems"]
            except (NoSuite, Unfinished) as error:
                if isinstance(error, NotAvailable) and not is_whole and not options:
                    session.warn(f"{project.name} is left out: {error}")
                else:
                    failed.append(f"{project.name}: {error}")
                continue
        if problems:
            failed.append(f"{project.name}: its library's own tests show a difference")
        elif is_whole:
            session.log(f"the result is in {store(project, suite, judge.version, summary)}")
    if failed:
        session.error("\n".join(failed))


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, the rules for this repository's files, and the table of plugins."""
    install(session, [PROJECTS[CORE]], *tools("lint"))
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
    """Build the documentation with warnings as errors, and run its examples and those of the README."""
    install(session, PLUGINS, *tools("docs"))
    with tempfile.TemporaryDirectory(prefix="scout-docs-") as out:
        session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", str(ROOT / "docs"), out)
    run_tests(session, *OF_THE_REPOSITORY["docs"])


@nox.session
def packaging(session: nox.Session) -> None:
    """The files of each wheel and source archive, and their installation into an empty environment."""
    install(session, [PROJECTS[CORE]], *tools("packaging"))
    run_tests(session, *OF_THE_REPOSITORY["packaging"])


@nox.session
def monorepo(session: nox.Session) -> None:
    """How plugins are tested and released, in a copy of the repository with nox and git."""
    install(session, [PROJECTS[CORE]], *tools("monorepo"))
    run_tests(session, *OF_THE_REPOSITORY["monorepo"])


@nox.session(allow_parallel=False)
def release(session: nox.Session) -> None:
    """Commit, tag and build one distribution, without uploading it: `nox -s release -- scout-flask 1.2.0 --dry-run`."""
    session.install(*tools("release"))
    session.run("python", str(ROOT / ".ci" / "release.py"), *session.posargs)


@nox.session(python=python_for_counts(OWN))
def cost(session: nox.Session) -> None:
    """
    Count what the agent costs in instructions; fails when that has grown. `nox -s cost -- --help` lists the options.

    The counts are compared with those stored for this very version of Python; without any, with those of the code that they were
    stored with, counted on the same Python.
    """
    options = without_base(session.posargs)[1]
    version = session.run("python", "-c", "import platform; print(platform.python_version())", silent=True)
    version = str(version or "").strip()  # empty where nox only lists what it would run
    command = ["python", str(ROOT / "benchmarks" / "cost.py")]
    if version in stored_versions() or {"--accept", "--baseline", "--help", "-h"}.intersection(options):
        install_counted(session)
        session.run(*command, *options)
    else:
        compare_with_revision(session, command, options, version)
    if not options:
        run_tests(session, *OF_THE_REPOSITORY["cost"])


def install_counted(session: nox.Session, revision: str | None = None) -> None:
    """Install the application and the agent with pinned libraries, from the working tree or a revision."""
    environments = nox.project.load_toml(ROOT / "benchmarks" / "environments.toml")
    app, pins = environments["app"], [*environments["app"]["requirements"], *environments["core"]["requirements"]]
    revisions = None if revision is None else dict.fromkeys(PROJECTS, revision)
    again = ["--force-reinstall"]  # both revisions may have the same version
    install(session, [PROJECTS[name] for name in app["plugins"]], *pins, *tools("test"), *again, revisions=revisions)


def compare_with_revision(session: nox.Session, command: list[str], options: list[str], version: str) -> None:
    """Count on a Python that no counts are stored for: first the code that the newest counts were stored with, then this one."""
    stored, revision = " and ".join(stored_versions()), stored_with()
    if revision is None:
        session.skip(
            f"not with counts to compare with: they are stored for Python {stored}, this is {version}, and this clone does not"
            " have the commit that stored them, whose cost could be counted here instead"
        )
    session.warn(
        f"counts are stored for Python {stored}, and this is {version}: the code of commit {revision[:10]}, which stored them, is"
        f" counted on Python {version}, and compared with this code"
    )
    only = options[options.index("--only") :] if "--only" in options else []
    with tempfile.TemporaryDirectory(prefix="scout-") as folder:
        baseline = str(Path(folder, f"{version}.json"))
        install_counted(session, revision)
        session.run(*command, "--accept", "--baseline", baseline, *only)
        install_counted(session)
        session.run(*command, "--baseline", baseline, *options)


@nox.session(python=PYTHONS, allow_parallel=False)
def reliability(session: nox.Session) -> None:
    """The promises of `docs/reliability.md` at full length, which takes two to three hours; the figures are in the log."""
    projects = [PROJECTS[CORE], *PLAN.shared(LATEST, str(session.python))]
    install_plugins(session, projects[1:])
    files = [file for project in projects for file in project.test_files("reliability")]
    if session.python != OWN:  # the others do not depend on the Python
        files = [file for file in files if file in PROJECTS[CORE].test_files("processes")]
    run_tests(session, *files, environment={"TEST_SIZE": "full"}, longest=0)


@nox.session(allow_parallel=False)
def bench(session: nox.Session) -> None:
    """Measure what the agent costs; `nox -s bench -- --help` lists the options."""
    install(session, PLUGINS)
    session.run("python", str(ROOT / "benchmarks"), *without_base(session.posargs)[1])


@nox.session(allow_parallel=False)
def bench_collector(session: nox.Session) -> None:
    """Measure what the collector takes in, and its pages; `nox -s bench_collector -- --help` lists the options."""
    install(session, PLUGINS)
    session.run("python", str(ROOT / "benchmarks" / "collector.py"), *without_base(session.posargs)[1])
