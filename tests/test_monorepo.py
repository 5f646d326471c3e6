"""How this repository tests and releases its plugins: in copies of it, with nox and git."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from attrs import frozen

ROOT = Path(__file__).resolve().parent.parent
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
WORKFLOW = ".github/workflows/test.yml"
CHEAP = {"lint", "types"}
CORE = {"core-3.10", "core_with_plugins-3.13"}
PROCESSES = {"processes-3.10", "processes-3.13"}
PROBE = {f"plugin(probe, latest, 3.{minor})" for minor in (10, 11, 12, 13)}
"""The sessions of the plugin that `new_plugin` makes."""


@frozen
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@frozen
class Repository:
    """A copy of this repository, of which everything is committed on main."""

    path: Path

    def run(self, *command: object, **environment: str) -> Done:
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.path,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ask(self, *command: object) -> str:
        done = self.run(*command)
        assert 0 == done.code, done.all
        return done.out.strip()

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        assert old in self.read(name)
        self.write(name, self.read(name).replace(old, new))

    def append(self, name: str, text: str = "# changed\n") -> None:
        self.write(name, self.read(name) + text)

    def commit(self) -> None:
        self.ask("git", "add", "--all")
        self.ask("git", "commit", "--quiet", "--message", "a change")

    def tag(self, name: str) -> None:
        self.ask("git", "tag", name)

    def nox(self, *arguments: object) -> Done:
        return self.run(sys.executable, "-m", "nox", *arguments)

    def sessions(self, *arguments: object) -> set[str]:
        listed = self.nox("--list", "--json", *arguments)
        assert 0 == listed.code, listed.all
        return {session["session"] for session in json.loads(listed.out)}

    def needed(self, base: str = "main") -> set[str]:
        return self.sessions("--", "--base", base)

    def release(self, *arguments: object) -> Done:
        return self.run(sys.executable, ".ci/release.py", *arguments)

    def state(self) -> tuple[str, ...]:
        """Everything that a release would change."""
        commands = [("rev-parse", "HEAD"), ("tag",), ("branch", "--all"), ("status", "--porcelain", "--ignored")]
        return tuple(self.ask("git", *command) for command in commands)

    def new_plugin(self, name: str = "probe", *options: str) -> Path:
        self.ask(sys.executable, "-m", "scout_core", "plugins", "new", name, "--into", "plugins", *options)
        return self.path / "plugins" / f"scout-{name}"


def clean_environment() -> dict[str, str]:
    """Nothing of the session that runs these tests, and commands that are installed beside its Python."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(
            ("CI", "COVERAGE", "GIT_", "GITHUB_", "NOX", "PYTEST_", "PYTHON", "SCOUT_", "VIRTUAL_ENV")
        )
    }
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return {**kept, "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])}


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """The files as they are now, committed or not, as a repository of one commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not on an unpacked archive: git knows which files belong to it")
    repository = Repository(tmp_path_factory.mktemp("copied"))
    listed = Repository(ROOT).ask("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (repository.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, repository.path / name)
    repository.ask("git", "init", "--quiet", "--initial-branch", "main")
    for key, value in (("name", "Ada"), ("email", "ada@example.org"), ("useConfigOnly", "true")):
        repository.ask("git", "config", f"user.{key}", value)
    repository.commit()
    repository.ask("git", "branch", "begin")
    return repository


@pytest.fixture
def repository(copied):
    """The copy as it was at first, on a branch of its own; made once, as most of the time would go into copying."""
    copied.ask("git", "checkout", "--quiet", "--force", "-B", "main", "begin")
    copied.ask("git", "checkout", "--quiet", "-B", "change")
    copied.ask("git", "clean", "-ffdxq")
    if tags := copied.ask("git", "tag").split():
        copied.ask("git", "tag", "--delete", *tags)
    return copied


@pytest.fixture(scope="module")
def everything(copied):
    """The sessions that ``nox`` runs, before a test adds some."""
    return copied.sessions()


@pytest.fixture(scope="module")
def rows(copied):
    """The sessions of single plugins, before a test adds some."""
    return copied.sessions("--sessions", "plugin")


@pytest.fixture
def of(rows):
    """All sessions of some plugins."""

    def found(*plugins: str) -> set[str]:
        sessions = {name for name in rows if name.startswith(tuple(f"plugin({short}," for short in plugins))}
        assert len(sessions) >= 4 * len(plugins)
        return sessions

    return found


def test_a_change_in_a_plugin_tests_that_plugin_and_nothing_else(repository, of):
    repository.append("plugins/scout-demo/tests/test_shop.py")
    repository.commit()

    assert CHEAP | of("demo") == repository.needed()


def test_a_change_in_a_plugin_tests_what_depends_on_it(repository, of):
    repository.append("plugins/scout-dashboard/src/scout_dashboard/__init__.py")
    repository.commit()

    assert CHEAP | {"skew"} | of("dashboard", "demo") == repository.needed()


def test_a_plugin_that_an_example_uses_has_the_examples_run(repository, of):
    """The README's application is one of Flask; so is that of the tests of trace context in urllib3."""
    repository.append("plugins/scout-flask/src/scout_flask/__init__.py")
    repository.commit()

    assert CHEAP | {"docs"} | of("flask", "demo", "urllib3") == repository.needed()


@pytest.mark.parametrize("way", ["requires", "import", "dependency"])
def test_a_plugin_whose_tests_use_another_is_tested_with_it(repository, of, way):
    folder = repository.new_plugin()
    if way == "requires":
        with (folder / "pyproject.toml").open("a") as file:
            file.write("\n[tool.scout-test]\nrequires = ['scout-urllib3']\n")
    elif way == "import":
        (folder / "tests" / "test_both.py").write_text("def test_both():\n    import scout_urllib3\n")
    else:
        repository.edit(
            "plugins/scout-probe/pyproject.toml", "dependencies = [", 'dependencies = ["scout-urllib3>=0.1,<0.2", '
        )
    repository.commit()
    repository.append("plugins/scout-urllib3/README.md")

    assert CHEAP | of("urllib3", "demo") | PROBE == repository.needed("change")


def test_a_new_version_of_a_requirement_is_a_change_of_packaging_too(repository, of):
    repository.edit("plugins/scout-demo/pyproject.toml", "[project]\n", "# a word\n[project]\n")
    repository.commit()

    assert CHEAP | {"packaging"} | of("demo") == repository.needed()


@pytest.mark.parametrize(
    "file", ["scout_core/errors.py", "pyproject.toml", "noxfile.py", ".ci/changed.py", "something-new.toml"]
)
def test_a_change_of_the_core_or_of_a_file_without_a_rule_tests_everything(repository, everything, file):
    repository.write(file, (repository.read(file) if (repository.path / file).exists() else "") + "# changed\n")
    repository.commit()

    assert everything == repository.needed()
    assert everything >= CORE | {"plugins-3.13", "oldest-3.10", "once", "skew"}


@pytest.mark.parametrize(
    "file, sessions",
    [
        ("docs/hooks.md", {"docs"}),
        ("README.md", {"docs"}),
        ("changelog.d/9.fixed.md", set()),
        ("tests/test_span.py", CORE),
        ("tests/test_exit.py", PROCESSES),
        ("tests/test_benchmarks.py", {"once"}),
        ("tests/workbench.py", CORE | PROCESSES | {"once"}),
        ("benchmarks/README.md", {"cost", "once"}),
        ("tests/test_docs.py", {"docs"}),
        ("tests/test_packaging.py", {"packaging"}),
        (WORKFLOW, {"monorepo"}),
    ],
)
def test_a_change_outside_the_code_tests_what_it_can_break(repository, file, sessions):
    repository.write(file, repository.read(file) + "\n" if (repository.path / file).exists() else "A word.\n")
    repository.commit()

    assert {"lint"} | sessions == repository.needed()


def test_an_uncommitted_or_untracked_file_is_a_change(repository, of):
    nothing = repository.needed()
    repository.write("plugins/scout-demo/src/scout_demo/__pycache__/x.pyc", "ignored")
    ignored = repository.needed()
    repository.write("plugins/scout-demo/tests/test_new.py", "")
    unknown = repository.needed()
    (repository.path / "plugins/scout-demo/tests/test_new.py").unlink()
    (repository.path / "plugins/scout-demo/tests/test_shop.py").unlink()
    deleted = repository.needed()
    repository.ask("git", "add", "--all")
    staged = repository.needed()

    assert (set(), set()) == (nothing, ignored)
    assert [CHEAP | of("demo")] * 3 == [unknown, deleted, staged]


HUG = """
[tool.scout-test]
oldest = ["falcon==2.0.0"]
apart = ["latest", "oldest"]
"""
DJANGO = """
[tool.scout-test]
oldest = ["django==4.2"]

[tool.scout-test.sets]
"4.2" = ["django~=4.2.0"]
"5.2" = ["django~=5.2.0"]
"""


def test_a_plugin_shares_its_environments_unless_its_libraries_conflict(repository, everything):
    """Falcon 2 cannot be installed with Falcon 4, nor two versions of Django with each other."""
    for name, table in (("hug", HUG), ("layers", DJANGO), ("plain", "")):
        folder = repository.new_plugin(name)
        with (folder / "pyproject.toml").open("a") as file:
            file.write(table)

    sessions = repository.sessions()

    apart = {"hug, oldest, 3.10", "hug, latest, 3.10", "hug, latest, 3.13", "layers, 4.2, 3.10", "layers, 5.2, 3.10"}
    assert {f"plugin({row})" for row in apart} == sessions - everything
    assert everything < sessions
    plan = repository.ask(sys.executable, "-c", PRINT_PLAN)
    latest, oldest = plan.splitlines()
    assert {"scout-layers", "scout-plain"} == set(latest.split()) - BEFORE
    assert {"scout-layers"} == set(oldest.split()) - BEFORE
    assert "scout-hug" not in plan


PRINT_PLAN = """
import sys
from pathlib import Path
sys.path.insert(0, ".ci")
from environments import plan
from projects import read_projects

chosen = plan(read_projects(Path.cwd()), ["3.10", "3.11", "3.12", "3.13"])
for libraries in ("latest", "oldest"):
    print(*(project.name for project in chosen.shared(libraries, "3.10")))
"""
BEFORE = {path.name for path in (ROOT / "plugins").iterdir()}


@pytest.fixture
def earlier(repository):
    """The revision that ``nox -s skew`` compares with, as a commit."""

    def revision() -> str:
        found = repository.ask(sys.executable, "-c", PRINT_BASE)
        return found if found == "None" else repository.ask("git", "rev-parse", f"{found}^{{commit}}")

    return revision


PRINT_BASE = """
import sys
sys.path.insert(0, ".ci")
from skew import base_revision
print(base_revision())
"""


def test_a_branch_is_compared_with_the_commit_where_it_left_main(repository, earlier):
    for _ in range(2):
        repository.append("README.md")
        repository.commit()

    assert repository.ask("git", "rev-parse", "main") == earlier()


def test_main_is_compared_with_its_previous_commit(repository, earlier):
    repository.ask("git", "checkout", "--quiet", "main")
    only_commit = earlier()
    repository.append("README.md")
    repository.commit()

    assert ["None", repository.ask("git", "rev-parse", "HEAD~1")] == [only_commit, earlier()]


def test_the_newest_release_that_head_contains_is_the_earlier_revision(repository, earlier):
    repository.tag("scout-core-0.9.0")
    repository.tag("scout-flask-3.0.0")
    repository.append("README.md")
    repository.commit()
    repository.tag("scout-core-0.10.0")
    released = earlier()
    repository.append("README.md")
    repository.commit()
    after = earlier()
    repository.ask("git", "checkout", "--quiet", "-B", "beside", "scout-core-0.9.0")
    repository.append("README.md")
    repository.commit()
    beside = earlier()

    commits = [
        repository.ask("git", "rev-parse", f"scout-core-{version}^{{commit}}") for version in ("0.9.0", "0.10.0")
    ]
    assert [commits[0], commits[1], commits[0]] == [released, after, beside]


def test_ranges_that_include_the_next_version_announce_that_it_breaks_plugins(repository):
    def announced() -> str:
        return repository.ask(sys.executable, "-c", PRINT_ANNOUNCED)

    before = announced()
    repository.edit(PROJECT, RANGE, '"scout-core>=0.1,<0.3"')

    assert ["False", "True"] == [before, announced()]


PRINT_ANNOUNCED = """
import sys
from pathlib import Path
sys.path.insert(0, ".ci")
from projects import read_projects
from skew import announces_break

core, *plugins = read_projects(Path.cwd()).values()
print(announces_break(plugins, core.version))
"""


def test_the_summary_lists_failed_tests_and_the_slowest_session_first(repository, tmp_path):
    """As nox writes its log and its report; a nox that failed to start writes no report."""
    log, report = tmp_path / "log", tmp_path / "report"
    log.write_text(
        "\x1b[36mnox > Running session core-3.10\x1b[0m\nFAILED a/test_b.py::test_c - assert 1\n======= 1 failed, 7 passed in 3.05s =======\n"
        "\x1b[33mnox > PASSED WHEN TRIED AGAIN a.test_b::test_c\x1b[0m\nother\n"
    )
    sessions = [("lint", 30.0, "success"), ("core-3.10", 90.0, "failed")]
    report.write_text(
        json.dumps(
            {"sessions": [{"signatures": [name], "duration": took, "result": how} for name, took, how in sessions]}
        )
    )
    (tmp_path / "empty").touch()

    done = repository.run(sys.executable, ".ci/summary.py", log, report)
    failed = repository.run(sys.executable, ".ci/summary.py", log, tmp_path / "empty")

    assert [0, 1] == [done.code, failed.code]
    assert done.out.splitlines()[1:] == [
        "pytest at the end of each session:",
        "core-3.10",
        "    FAILED a/test_b.py::test_c - assert 1",
        "    1 failed, 7 passed in 3.05s",
        "    PASSED WHEN TRIED AGAIN a.test_b::test_c",
        "",
        "minutes  session",
        "   1.5  core-3.10  failed",
        "   0.5  lint  success",
        "   2.0  in 2 sessions",
    ]


def test_an_oldest_core_that_others_do_not_have_is_tested_apart(repository, everything):
    """The shared environment has one core: the newest of the lower bounds."""
    for version in ("0.1.0", "0.1.5"):
        repository.tag(f"scout-core-{version}")
    for name, bound in (("early", "0.1.0"), ("late", "0.1.5")):
        repository.new_plugin(name)
        file = f"plugins/scout-{name}/pyproject.toml"
        repository.write(file, re.sub(r"scout-core>=[0-9.]+", f"scout-core>={bound}", repository.read(file)))
        repository.edit(file, "[project]\n", "[project]\n# a line\n")
    for path in (repository.path / "plugins").iterdir():
        file = f"plugins/{path.name}/pyproject.toml"
        if path.name != "scout-early":
            repository.write(file, re.sub(r"scout-core>=[0-9.]+", "scout-core>=0.1.5", repository.read(file)))

    added = repository.sessions() - everything

    assert {"plugin(early, oldest, 3.10)"} == added
    assert "scout-late" in repository.ask(sys.executable, "-c", PRINT_PLAN).splitlines()[1].split()


def test_a_file_that_changes_its_process_for_good_has_a_process_of_its_own(repository):
    """As one that has gevent patch the standard library: no other test may run after it."""
    folder = repository.new_plugin()
    repository.edit("plugins/scout-probe/pyproject.toml", 'requires-python = ">=3.10"', f'requires-python = ">={OWN}"')
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n[tool.scout-test]\nisolated = ['test_patched.py']\n")
    for file in (folder / "tests").glob("*.py"):
        file.unlink()
    patching = "import socket\n\nimport pytest\n\n\n@pytest.fixture(autouse=True, scope='module')\ndef patched():\n    socket.patched = True\n"
    (folder / "tests" / "test_patched.py").write_text(f"{patching}\n\ndef test_patched():\n    assert socket.patched\n")
    plain = "import socket\n\n\ndef test_plain():\n    assert not hasattr(socket, 'patched')\n"
    for name in ("test_after.py", "test_zero.py"):
        (folder / "tests" / name).write_text(plain)

    done = repository.nox("-s", f"plugin(probe, latest, {OWN})")

    assert 0 == done.code, done.all
    assert ["2 passed", "1 passed"] == re.findall(r"\d+ passed", done.all)


@pytest.fixture
def failing(repository):
    """Return a function that runs a plugin's session where CI is set, with so many tests that fail in the first or in every run."""

    def run(amount: int, *, always: bool) -> Done:
        folder = repository.new_plugin()
        file = "plugins/scout-probe/pyproject.toml"
        repository.edit(file, 'requires-python = ">=3.10"', f'requires-python = ">={OWN}"')
        for path in (folder / "tests").glob("*.py"):
            path.unlink()
        (folder / "tests" / "test_rare.py").write_text(
            "from pathlib import Path\n\nimport pytest\n\n\n"
            f"@pytest.mark.parametrize('number', range({amount}))\n"
            "def test_rare(number):\n"
            f"    mark = Path({str(folder)!r}, str(number))\n"
            f"    known = mark.exists() and not {always}\n"
            "    mark.touch()\n"
            "    assert known\n\n\n"
            "def test_plain():\n    pass\n"
        )
        return repository.run(sys.executable, "-m", "nox", "-s", f"plugin(probe, latest, {OWN})", CI="true")

    return run


def test_a_test_that_fails_once_is_tried_again_and_named(failing):
    """Two tests at a time on a busy machine may lack time; a fault that is rare is still shown."""
    done = failing(2, always=False)

    assert 0 == done.code, done.all
    assert ["2 failed", "2 passed"] == re.findall(r"\d+ failed|2 passed", done.all)
    assert 2 == len(re.findall(r"nox > PASSED WHEN TRIED AGAIN .*test_rare::test_rare\[[01]\]", done.all))


@pytest.mark.parametrize(("amount", "always"), [(1, True), (4, False)])
def test_tests_that_fail_twice_or_are_many_fail_the_run(failing, amount, always):
    done = failing(amount, always=always)

    assert 1 == done.code, done.all
    assert "TRIED AGAIN" not in done.all


def test_a_file_that_moves_between_plugins_is_a_change_of_both(repository, of):
    repository.ask("git", "mv", "plugins/scout-urllib3/README.md", "plugins/scout-sqlalchemy/tests/README.md")

    assert CHEAP | of("urllib3", "sqlalchemy", "demo", "sqlite3") == repository.needed()


def test_later_changes_on_main_are_not_part_of_the_change(repository, of):
    repository.append("plugins/scout-demo/README.md")
    repository.commit()
    repository.ask("git", "checkout", "--quiet", "main")
    repository.append("scout_core/errors.py")
    repository.commit()
    repository.ask("git", "checkout", "--quiet", "change")

    assert CHEAP | of("demo") == repository.needed()


def test_a_plugin_that_is_removed_needs_no_change_elsewhere(repository):
    shutil.rmtree(repository.path / "plugins" / "scout-demo")
    repository.commit()

    assert CHEAP | {"packaging"} == repository.needed()


@pytest.mark.parametrize("base", [["--base", "nowhere"], ["--base="], ["--base"]])
def test_an_unknown_revision_is_reported_on_a_single_line(repository, base):
    done = repository.nox("--list", "--", *base)

    assert 0 != done.code
    assert ("", 1) == (done.out, len(done.err.splitlines()))
    assert done.err.startswith(f"--base {base[-1]}: " if len(base) == 2 else "--base : ")
    assert "git" in done.err


def test_no_plugin_is_named_in_the_configuration(repository):
    names = [path.name for path in (repository.path / "plugins").iterdir()]
    texts = {name: repository.read(name) for name in ("noxfile.py", ".ci/run", ".ci/changed.py", WORKFLOW)}
    texts["noxfile.py"] = re.sub(r"`nox [^`]*`", "", texts["noxfile.py"])

    assert names
    assert [] == [(file, name) for file, text in texts.items() for name in names if name in text]


def test_the_workflow_runs_what_nox_lists(repository, everything, tmp_path):
    """Its own step is run, as on a push and as for a pull request."""
    workflow = yaml.safe_load(repository.read(WORKFLOW))
    (step,) = [step for step in workflow["jobs"]["list"]["steps"] if step.get("id") == "list"]
    jobs = workflow["jobs"]["session"]
    repository.append("plugins/scout-demo/README.md")
    listed = {}
    for base in ("", "main"):
        output = tmp_path / f"output-{base}"
        done = repository.run("bash", "-eo", "pipefail", "-c", step["run"], BASE=base, GITHUB_OUTPUT=str(output))
        assert 0 == done.code, done.all
        key, _, value = output.read_text(encoding="utf-8").strip().partition("=")
        listed[base] = {session["session"] for session in json.loads(value)}
        assert "sessions" == key

    assert {"": everything, "main": repository.needed()} == listed
    assert "${{ fromJSON(needs.list.outputs.sessions) }}" == jobs["strategy"]["matrix"]["include"]
    assert {"run": 'nox -s "$SESSION"', "env": {"SESSION": "${{ matrix.session }}"}} == jobs["steps"][-1]
    assert {"run": ".ci/install"} in jobs["steps"]


def test_a_run_on_a_machine_and_the_workflow_install_the_same_programs(repository):
    """Those that the sessions need and pip does not provide, by the same script."""
    assert "\n.ci/install\n" in repository.read(".ci/run")
    assert {"valgrind", "chromium", "redis", "postgresql"} <= set(re.findall(r"\w+", repository.read(".ci/install")))
    assert (repository.path / ".ci" / "install").stat().st_mode & 0o111


def test_a_new_plugin_is_listed_tested_built_and_documented_and_touches_only_its_own_folder(repository):
    """Its session is really run: an environment is made, the wheels are built, the tests pass."""
    repository.new_plugin()
    touched = repository.ask("git", "status", "--porcelain", "--untracked-files=all").splitlines()
    repository.commit()

    sessions = repository.needed()
    tested = repository.nox("--python", OWN, "--", "--base", "main")
    checked = repository.run(sys.executable, "docs/generate.py", "--check", "plugins")
    released = repository.nox("-s", "release", "--", "scout-probe", "0.1.0", "--dry-run")

    assert [] == [line for line in touched if not line.startswith("?? plugins/scout-probe/")]
    assert CHEAP | {"packaging"} | PROBE == sessions
    assert 0 == tested.code, tested.all
    assert [f"plugin(probe, latest, {OWN})"] == re.findall(r"Running session (.*)", tested.all)
    assert re.search(r"\d+ passed in", tested.all)
    assert 0 == checked.code, checked.all
    assert 0 == released.code, released.all
    assert "  scout_probe/__init__.py\n" in released.all
    assert re.search(r"^\+\| \[scout-probe\]\(\.\./plugins/scout-probe/README\.md\) \| ", released.out, re.MULTILINE)


def test_the_table_of_plugins_is_checked(repository):
    """A plugin without a release may be missing; what is there must be so, and a release must be there."""

    def check(*, write: bool = False) -> int:
        return repository.run(sys.executable, "docs/generate.py", *([] if write else ["--check"]), "plugins").code

    folder = repository.new_plugin()
    missing = check()
    (folder / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 (2026-01-01)\n", encoding="utf-8")
    missing_release = check()
    check(write=True)
    written = check()
    row = next(line for line in repository.read("docs/plugins.md").splitlines() if "scout-probe" in line)
    repository.edit("plugins/scout-probe/pyproject.toml", ">=3.10", ">=3.11")
    changed = check()
    shutil.rmtree(folder)
    gone = check()

    assert [0, 1, 0, 1, 1] == [missing, missing_release, written, changed, gone]
    assert ["`>=3.10`", "`instrument`"] == row.strip(" |").split(" | ")[-2:]


def test_the_oldest_set_has_the_oldest_core_that_the_range_allows(repository):
    """The release is built from its tag; the newest set meets the core as it is now."""
    repository.tag("scout-core-0.1.0")
    repository.edit("scout_core/agent.py", 'VERSION = "0.1.0"', 'VERSION = "0.1.7"')
    folder = repository.new_plugin()
    repository.edit("plugins/scout-probe/pyproject.toml", 'requires-python = ">=3.10"', f'requires-python = ">={OWN}"')
    for file in (folder / "tests").glob("*.py"):
        file.unlink()
    (folder / "tests" / "test_probe.py").write_text(
        "import os\n\nfrom scout_core.agent import VERSION\n\n\n"
        "def test_version():\n    assert os.environ['EXPECTED'] == VERSION\n"
    )
    expected = {"oldest": "0.1.0", "latest": "0.1.7"}

    done = {
        libraries: repository.run(
            sys.executable, "-m", "nox", "-s", f"plugin(probe, {libraries}, {OWN})", EXPECTED=version
        )
        for libraries, version in expected.items()
    }

    assert dict.fromkeys(expected, 0) == {libraries: ended.code for libraries, ended in done.items()}, done
    assert ["1 passed"] * 2 == [re.search(r"\d+ passed", ended.all)[0] for ended in done.values()]


@pytest.fixture
def ready(repository):
    """A repository in which scout-urllib3 is about to be released as 0.1.0."""
    assert 'version = "0.1.0"' in repository.read("plugins/scout-urllib3/pyproject.toml")
    for file in (repository.path / "plugins" / "scout-urllib3" / "changelog.d").glob("*.md"):
        file.unlink()
    repository.write("plugins/scout-urllib3/changelog.d/42.fixed.md", "Calls that are retried are counted once.\n")
    repository.commit()
    return repository


def test_a_dry_run_shows_all_and_does_nothing(ready):
    before = ready.state()

    done = ready.release("scout-urllib3", "0.1.1", "--dry-run")

    assert 0 == done.code, done.all
    shown = done.out.splitlines()
    for line in (
        "Would release scout-urllib3-0.1.1; the version was 0.1.0.",
        "scout-urllib3: release 0.1.1",
        '-version = "0.1.0"',
        '+version = "0.1.1"',
        "+- Calls that are retried are counted once. (#42)",
        "deleted file mode 100644",
        "Tag: scout-urllib3-0.1.1",
        "  scout_urllib3/__init__.py",
        "  scout_urllib3-0.1.1/tests/test_urllib3.py",
        "  git push --atomic origin change scout-urllib3-0.1.1",
        "  uv publish dist/scout_urllib3-0.1.1-py3-none-any.whl dist/scout_urllib3-0.1.1.tar.gz",
    ):
        assert line in shown
    assert [line for line in shown if re.fullmatch(r"\+## 0\.1\.1 \(\d{4}-\d\d-\d\d\)", line)]
    assert before == ready.state()


def test_a_release_is_a_commit_a_tag_and_two_archives(ready):
    dry = ready.release("scout-urllib3", "0.1.1", "--dry-run")
    before = ready.ask("git", "rev-parse", "HEAD")

    done = ready.release("scout-urllib3", "0.1.1")

    assert 0 == done.code, done.all
    assert dry.out.splitlines()[1:] == done.out.splitlines()[1:]
    assert before == ready.ask("git", "rev-parse", "HEAD~1")
    assert ready.ask("git", "rev-parse", "HEAD") == ready.ask("git", "rev-parse", "scout-urllib3-0.1.1^{commit}")
    assert "change" == ready.ask("git", "branch", "--show-current")
    assert "" == ready.ask("git", "status", "--porcelain")
    assert 'version = "0.1.1"' in ready.read("plugins/scout-urllib3/pyproject.toml")
    assert "- Calls that are retried are counted once. (#42)" in ready.read("plugins/scout-urllib3/CHANGELOG.md")
    assert {
        "docs/plugins.md",
        "plugins/scout-urllib3/CHANGELOG.md",
        "plugins/scout-urllib3/changelog.d/42.fixed.md",
        "plugins/scout-urllib3/pyproject.toml",
    } >= set(ready.ask("git", "diff", "--name-only", "HEAD~1").splitlines())
    assert ["scout_urllib3-0.1.1-py3-none-any.whl", "scout_urllib3-0.1.1.tar.gz"] == sorted(
        file.name for file in (ready.path / "dist").iterdir()
    )


def test_the_next_release_is_higher_and_has_a_changelog_fragment(ready):
    assert 0 == ready.release("scout-urllib3", "0.1.1").code

    again = ready.release("scout-urllib3", "0.1.1")
    lower = ready.release("scout-urllib3", "0.1.0")
    ready.write("plugins/scout-urllib3/changelog.d/+more.added.md", "More.\n")
    ready.commit()
    higher = ready.release("scout-urllib3", "0.1.2")

    assert [1, 1, 0] == [again.code, lower.code, higher.code]
    assert "- tag scout-urllib3-0.1.1 already exists\n" in again.err
    assert "- no changelog fragment: describe in plugins/scout-urllib3/changelog.d/42.added.md" in again.err
    assert "- 0.1.0 is not higher than the last release, scout-urllib3-0.1.1\n" in lower.err


def test_the_core_is_released_with_the_version_in_its_module(repository):
    repository.edit(PROJECT, '"urllib3>=1.26,<3"', '"urllib3>=1.26,<4"')
    repository.commit()

    done = repository.release("scout-core", "0.1.1")

    assert 0 == done.code, done.all
    assert 'VERSION = "0.1.1"' in repository.read("scout_core/agent.py")
    with zipfile.ZipFile(repository.path / "dist" / "scout_core-0.1.1-py3-none-any.whl") as wheel:
        assert 'VERSION = "0.1.1"' in wheel.read("scout_core/agent.py").decode()
        assert "Version: 0.1.1\n" in wheel.read("scout_core-0.1.1.dist-info/METADATA").decode()
    changed = repository.ask("git", "diff", "--name-only", "HEAD~1").splitlines()
    assert [] == [path for path in changed if path.startswith("plugins/")]
    assert '    "scout-urllib3": ("urllib3>=1.26,<4",),\n' in repository.read("scout_core/cli/known.py")


RANGE = '"scout-core>=0.1,<0.2"'
PROJECT = "plugins/scout-urllib3/pyproject.toml"


def commit_edit(old, new, name=PROJECT):
    def change(repository):
        repository.edit(name, old, new)
        repository.commit()

    return change


def other_release(version):
    def change(repository):
        repository.tag(f"scout-urllib3-{version}")

    return change


def rename_fragment(repository):
    folder = "plugins/scout-urllib3/changelog.d"
    repository.ask("git", "mv", f"{folder}/42.fixed.md", f"{folder}/42.fixd.md")
    repository.commit()


def drop_fragments(repository):
    repository.ask("git", "rm", "--quiet", "plugins/scout-urllib3/changelog.d/42.fixed.md")
    repository.commit()


@pytest.mark.parametrize(
    "change, arguments, reason",
    [
        (lambda repository: repository.append("README.md"), (), "uncommitted changes: commit or remove README.md"),
        (lambda repository: repository.write("x.py", ""), (), "uncommitted changes: commit or remove x.py"),
        (drop_fragments, (), "no changelog fragment: describe in "),
        (rename_fragment, (), "plugins/scout-urllib3/changelog.d/42.fixd.md is not a changelog fragment: its name must end in .added.md, "),
        (None, ("scout-urllib3", "next"), "invalid version 'next'; expected one such as 1.2.0 or 1.2.0rc1"),
        (None, ("scout-urllib3", "v0.1.1"), "version 'v0.1.1' is not in normal form; use 0.1.1"),
        (None, ("scout-urllib3", "0.0.9"), f"0.0.9 is lower than 0.1.0, the version in {PROJECT}"),
        (other_release("0.1.1"), (), "tag scout-urllib3-0.1.1 already exists"),
        (other_release("0.1.5"), (), "0.1.1 is not higher than the last release, scout-urllib3-0.1.5"),
        (other_release("0.0.5"), (), f"{PROJECT} has version 0.1.0, but the last release is scout-urllib3-0.0.5: set it to 0.0.5; "),
        (None, ("scout-urllib3", "0.2.0"), "scout-demo needs scout-urllib3[instruments]<0.2,>=0.1: first make its range include 0.2.0"),
        (commit_edit(RANGE, '"scout-core>=0.1,<0.3"'), (), "scout-core 0.1.0 was tested, and 0.2 may break it; write <0.2"),
        (commit_edit(RANGE, '"scout-core>=0.1,<1"'), (), "and 0.2 may break it; write <0.2"),
        (commit_edit(RANGE, '"scout-core>=0.0.7,<0.2"'), (), "scout-core 0.0.7 was never released, and 0.1.0 was tested"),
        (commit_edit(RANGE, '"scout-core>=0.1.2,<0.2"'), (), "excludes scout-core 0.1.0, the version that was tested"),
        (commit_edit(RANGE, '"scout-core==0.1.0"'), (), "scout-core==0.1.0 needs a lower and an upper bound: write scout-core>=0.1.0,<0.2"),
        (commit_edit(RANGE, '"scout-core>=0.1"'), (), "scout-core>=0.1 needs a lower and an upper bound: write scout-core>=0.1.0,<0.2"),
    ],
)  # fmt: skip
def test_a_release_is_refused_with_the_reason(ready, change, arguments, reason):
    if change:
        change(ready)
    before = ready.state()

    done = ready.release(*(arguments or ("scout-urllib3", "0.1.1")))
    dry = ready.release(*(arguments or ("scout-urllib3", "0.1.1")), "--dry-run")

    assert (1, "") == (done.code, done.out)
    assert [line for line in done.err.splitlines() if line.startswith("- ") and reason in line], done.err
    assert done == dry
    assert before == ready.state()


def test_all_reasons_are_printed_at_once(ready):
    drop_fragments(ready)
    ready.append("README.md")

    done = ready.release("scout-urllib3", "0.0.1")

    assert 5 == len(done.err.splitlines())


def test_a_range_that_begins_at_an_earlier_release_is_covered(ready):
    ready.tag("scout-core-0.1.0")
    commit_edit('VERSION = "0.1.0"', 'VERSION = "0.1.4"', name="scout_core/agent.py")(ready)

    done = ready.release("scout-urllib3", "0.1.1", "--dry-run")

    assert 0 == done.code, done.all
    assert "not released yet" not in done.out


@pytest.mark.parametrize(
    "name, suggestion", [("scout-urlib3", "did you mean scout-urllib3?"), ("flask", "did you mean scout-flask?")]
)
def test_an_unknown_distribution_is_refused_with_a_suggestion(repository, name, suggestion):
    done = repository.release(name, "1.0.0")

    assert (2, f"unknown distribution {name!r}; {suggestion}\n") == (done.code, done.err)


def test_a_release_that_fails_half_way_leaves_nothing(ready):
    """The archives cannot be built: the page that they describe themselves with is not there."""
    commit_edit('readme = "README.md"', 'readme = "NOWHERE.md"')(ready)
    before = ready.state()

    done = ready.release("scout-urllib3", "0.1.1")

    assert 1 == done.code
    assert "hatchling build" in done.err
    assert before == ready.state()


LETTERBOX = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "scout-core-letterbox"
version = "1.2+tests"
[tool.hatch.build.targets.wheel]
packages = ["letterbox"]
""",
    "letterbox/__init__.py": "def post(letter):\n    return letter.title()\n",
    "tests/test_letterbox.py": """
import os
from pathlib import Path
import letterbox

def test_post():
    assert "Ada" == letterbox.post("ada")

def test_that_cannot_pass():
    assert 0

def test_that_is_unstable_by_itself():
    runs = Path(os.environ["XDG_STATE_HOME"], "runs")
    runs.write_text((runs.read_text() if runs.exists() else "") + "x")
    assert len(runs.read_text()) % 2 == 0

def test_that_is_left_out():
    raise KeyboardInterrupt
""",
}
SCOUT_LETTERBOX = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "scout-letterbox"
version = "0.1"
requires-python = ">=3.10"
dependencies = ["scout-core>=0.1,<0.2"]
[project.optional-dependencies]
instruments = ["scout-core-letterbox>=1,<2"]
[project.entry-points.scout_core]
letterbox = "scout_letterbox"
[tool.hatch.build.targets.wheel]
packages = ["src/scout_letterbox"]
[tool.scout-upstream]
library = "scout-core-letterbox==1.2+tests"  # an index cannot have such a version, so the local file is used
arguments = ["tests"]
[tool.scout-upstream.deselect]
"tests/test_letterbox.py::test_that_is_left_out" = "it ends the run"
""",
    "src/scout_letterbox/__init__.py": """
from scout_core import hookimpl, span

@hookimpl
def instrument(wrap):
    wrap("letterbox:post", post)

def post(letter):
    return span("Letter/Post")
""",
}


def test_a_library_judges_a_plugin_by_its_own_tests(repository, tmp_path):
    for name, text in LETTERBOX.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", "dist"], cwd=tmp_path, check=True)
    for name, text in SCOUT_LETTERBOX.items():
        repository.write(f"plugins/scout-letterbox/{name}", text)
    here = {"PIP_FIND_LINKS": str(tmp_path / "dist")}
    alike = repository.run(sys.executable, "-m", "nox", "-s", "upstream", "--", "letterbox", **here)
    assert 0 == alike.code, alike.all
    result = json.loads(repository.read("plugins/scout-letterbox/upstream.json"))
    name = "plugins/scout-letterbox/src/scout_letterbox/__init__.py"
    repository.edit(
        name, 'wrap("letterbox:post", post)', 'wrap("letterbox:post", post); wrap.around("letterbox:post", lower)'
    )
    repository.append(
        name, "\ndef lower(wrapped, instance, args, kwargs):\n    return wrapped(*args, **kwargs).lower()\n"
    )
    changed = repository.run(sys.executable, "-m", "nox", "-s", "upstream", "--", "letterbox", **here)

    assert {
        "library": "scout-core-letterbox",
        "version": "1.2+tests",
        "tests": 3,
        "spans": 1,
        "unstable": 1,
        "deselected": {"tests/test_letterbox.py::test_that_is_left_out": "it ends the run"},
        "differences": {},
    } == {key: result[key] for key in ("library", "version", "tests", "spans", "unstable", "deselected", "differences")}
    assert "unstable without the agent: tests/test_letterbox.py::test_that_is_unstable_by_itself" in alike.all
    assert 1 == changed.code
    assert "tests/test_letterbox.py::test_post: passed without the agent, failed with it" in changed.all
    assert "scout-letterbox: its library's own tests show a difference" in changed.all
    assert result == json.loads(repository.read("plugins/scout-letterbox/upstream.json"))


def test_a_suite_is_run_by_pytest_or_by_a_program_of_its_own(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    from upstream import RECORDERS, Suite

    file = Path("run.json")
    written, recorded = "--scout-outcomes=run.json", ["--scout-plugin=letters", "--scout-outside"]
    program, by_pytest = Suite(program="tests/run.py"), ["-m", "pytest", "-q", "-pno:cacheprovider", written]

    assert [True, True] == [recorder.exists() for recorder in RECORDERS]
    assert ["-m", "scout_programs", written, "tests/run.py"] == program.runner(file, None)
    assert ["-m", "scout_core.testing.upstream.recorded_programs", written, *recorded, "tests/run.py"] == (
        program.runner(file, "letters", is_outside=True)
    )
    assert [*by_pytest, "-pscout_outcomes"] == Suite().runner(file, None)
    assert [*by_pytest, "-pscout_core.testing.upstream", recorded[0]] == Suite().runner(file, "letters")


def test_a_suite_gets_the_address_of_its_server(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    from upstream import NoSuite, Suite, running_server

    suite = Suite(
        arguments=["--url={url}"],
        environment={"PLACE": "{hostname}:{port}"},
        settings={"redis.record_keys": "true"},
        server="redis_server",
        server_options=["--databases", "20"],
        deselect={"tests/test_tls.py": "needs TLS", "tests/test_a.py::test_b": "needs TLS"},
    )
    with running_server(suite) as server:
        address, port = (server["hostname"], int(server["port"])), server["port"]
        with socket.create_connection(address, timeout=20) as client, client.makefile() as answer:
            client.sendall(b"CONFIG GET databases\r\n")
            assert ["*2", "$9", "databases", "$2", "20"] == [answer.readline().strip() for _ in range(5)]
        with (
            pytest.raises(NoSuite, match=f"another server listens on port {port}"),
            running_server(Suite(server="redis_server", server_port=int(port))),
        ):
            pass

    place = f"127.0.0.1:{port}"
    assert {"PLACE": place, "SCOUT_REDIS_RECORD_KEYS": "true"} == suite.variables(server)
    assert [f"--url=redis://{place}/0", "--ignore=tests/test_tls.py", "--deselect=tests/test_a.py::test_b"] == (
        suite.chosen_tests(server)
    )
    with pytest.raises(NoSuite, match="unknown server 'radish_server'"), running_server(Suite(server="radish_server")):
        pass


@pytest.mark.parametrize("ending", [None, RuntimeError], ids=["ends", "raises"])
def test_a_suite_may_have_a_network_of_its_own(monkeypatch, ending):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    from networks import own_network
    from upstream import Suite, running_server

    with ExitStack() as stack:
        try:
            stack.enter_context(own_network())
        except OSError as reason:
            pytest.skip(f"not with the rights of this process: {reason}")
    before, during, servers = networks(), [], []
    with running_server(Suite(server="redis_server")) as outside:
        at_its_port = Suite(server="redis_server", server_port=int(outside["port"]))
        with nullcontext() if ending is None else pytest.raises(ending), own_network():
            during += networks()
            with running_server(at_its_port) as inside:
                servers.append(inside)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(outside["port"])))
            if ending is not None:
                raise ending
        after = networks()

    assert ([outside], before, 1) == (servers, after, len(set(during)))
    assert not set(before) & set(during)


def networks() -> list[str]:
    """The networks of this thread, and of a process that it starts."""
    child = [sys.executable, "-c", "import os; print(os.readlink('/proc/self/ns/net'))"]
    return [os.readlink("/proc/thread-self/ns/net"), subprocess.check_output(child, text=True).strip()]


def test_a_suite_that_cannot_have_a_network_of_its_own_runs_in_that_of_the_machine(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    import judge
    from upstream import Suite

    warnings: list[str] = []
    monkeypatch.setattr(judge, "own_network", lambda: open("/nowhere/ns/net"))  # noqa: SIM115  # what fails there
    judged = judge.Judge(SimpleNamespace(warn=warnings.append), None, Suite(own_network=True), [], [], Path())
    with judged.network():
        pass

    assert ["the tests run in the network of this machine, as they cannot have their own: "
            "[Errno 2] No such file or directory: '/nowhere/ns/net'"] == warnings  # fmt: skip


HANGING = {
    "at test_suite.py::test_waits": "def test_waits():\n    reach()\n    time.sleep(600)\n",
    "before the first test": "reach()\ntime.sleep(600)\n",
    "after the last test": "def test_waits():\n    reach()\n    threading.Thread(target=time.sleep, args=(600,)).start()\n",
}
ABORTED = {
    "the tests exited with 2: outcomes, after the last test": "def test_waits():\n    raise KeyboardInterrupt\n",
    "the tests exited with -9: outcomes, at test_suite.py::test_waits": "def test_waits():\n    os.kill(os.getpid(), 9)\n",
}
WITH_A_CHILD = """
import os, subprocess, sys, threading, time

def reach():
    with open("child", "w") as file:
        file.write(str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid))

"""


@pytest.fixture
def unfinished(tmp_path, monkeypatch):
    """Run a suite, and return the message of its end."""
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    from limited import Unfinished, run_limited

    def run(suite: str, seconds: float) -> str:
        (tmp_path / "test_suite.py").write_text(WITH_A_CHILD + suite)
        outcomes = tmp_path / "outcomes.json"
        options = ["-q", "-pno:cacheprovider", "-pscout_core.testing.upstream.outcomes", f"--scout-outcomes={outcomes}"]
        command = [sys.executable, "-X", "faulthandler", "-m", "pytest", *options, "test_suite.py"]
        environment = clean_environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with pytest.raises(Unfinished) as caught:
            run_limited(command, outcomes, seconds, cwd=tmp_path, env=environment)
        return str(caught.value)

    return run


@pytest.mark.parametrize("place, suite", HANGING.items(), ids=HANGING)
def test_a_suite_that_hangs_names_its_test_prints_its_stacks_and_leaves_no_process(
    unfinished, place, suite, tmp_path, capfd
):
    handler, started = signal.getsignal(signal.SIGTERM), tmp_path / "child"
    seconds, message = 1.0, ""
    while not started.exists():  # on a busy machine, pytest takes longer to start
        seconds *= 2
        assert seconds < 200, message
        message = unfinished(suite, seconds)

    assert f"it did not end within {seconds:g} s: outcomes, {place}" == message
    assert "most recent call first" in capfd.readouterr().err
    assert handler == signal.getsignal(signal.SIGTERM)
    child = Path("/proc", started.read_text(), "stat")
    assert not child.exists() or "Z" == child.read_text().split()[2]


def test_a_run_that_is_terminated_leaves_no_process(tmp_path):
    script = """if True:
        import os, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from limited import run_limited
        child = "import os, time; open('started', 'w').write(str(os.getpid())); time.sleep(600)"
        run_limited([sys.executable, "-c", child], Path("outcomes"), 600, cwd=Path(), env=os.environ)
    """
    started = tmp_path / "started"
    process = subprocess.Popen([sys.executable, "-c", script, str(ROOT / ".ci")], cwd=tmp_path)
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
    for _ in range(2):
        process.terminate()

    assert 143 == process.wait(60)
    child = Path("/proc", started.read_text(), "stat")
    assert not child.exists() or "Z" == child.read_text().split()[2]


@pytest.mark.parametrize("message, suite", ABORTED.items(), ids=["interrupted", "killed"])
def test_a_suite_that_ends_early_names_its_test(unfinished, message, suite):
    assert message == unfinished(suite, 120)


@pytest.mark.parametrize(
    "arguments, table, message",
    [
        (["nowhere"], "", "unknown plugins: nowhere"),
        (["demo"], "", "scout-demo has no table [tool.scout-upstream]"),
        (["demo"], '[tool.scout-upstream]\nlibary = "flask"\n', "unknown keys of [tool.scout-upstream]: libary"),
        (["demo"], '[tool.scout-upstream]\ndeselect = {"a" = ""}\n', "tests are deselected without a reason: a"),
        (["demo"], '[tool.scout-upstream]\ndifferences = {"a" = ""}\n', "tests may differ without a reason: a"),
        (
            ["demo"],
            '[tool.scout-upstream]\nprogram = "t.py"\ndeselect = {"a" = "b"}\n',
            "a program takes no tests to deselect",
        ),
    ],
)
def test_an_invalid_table_of_a_suite_is_explained(repository, arguments, table, message):
    repository.append("plugins/scout-demo/pyproject.toml", f"\n{table}")
    done = repository.nox("-s", "upstream", "--", *arguments)

    assert 1 == done.code
    assert message in done.all
