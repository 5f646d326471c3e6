"""A third-party policy, as its author publishes and its user installs it: built, installed, and followed to the sink."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from attrs import frozen

from scout_core.measuring.report import PluginStatus, Report, Trace
from tests.workbench import POLICIES, CollectorSink, announced

ROOT = Path(__file__).resolve().parent.parent
PAYING = ROOT / "tests" / "third_party" / "scout-paying"

APP = """
import scout_core
from scout_core import transaction
from scout_core.recording import span as spans, transaction as transactions


class Clock:
    now = 1_000_000_000

    def __call__(self):
        return self.now


clock = spans.perf_counter_ns = transactions.perf_counter_ns = Clock()
scout_core.start(name="Shop", traces_per_period=2, report_period=100)
for _ in range(15):
    for name, milliseconds, plan in (("report", 400, "free"), ("list", 200, "free"), ("home", 50, "free"), ("account", 5, "enterprise")):
        with transaction(f"Controller/{name}", plan=plan):
            clock.now += milliseconds * 1_000_000
scout_core.stop(20)
"""

FAULTY = {
    "raising": "raise KeyError(transaction.tags['nobody'])",
    "nonsense": "return 'a lot'",
    "slow": "threading.Event().wait(0.03)\n    return 0.25",
}


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean_environment(**environment), capture_output=True, text=True, timeout=300
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def clean_environment(**more: str) -> dict[str, str]:
    """No settings of the agent, and none that would show other packages to the environment."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("SCOUT_", "PYTEST_", "PYTHON", "VIRTUAL_ENV"))
    }
    return {**kept, **more}


@frozen
class Environment:
    """An environment with the core, with or without the policy."""

    folder: Path

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def pip(self, command: str, *arguments: object, cwd: Path) -> None:
        run(self.program("python"), "-m", "pip", "--disable-pip-version-check", command, "-q", *arguments, cwd=cwd)


def core_wheel(out: Path, environment: Environment) -> Path:
    """The wheel that this environment was installed from, or a new one from the checkout."""
    source = distribution("scout-core").read_text("direct_url.json")
    installed = Path(unquote(urlsplit(json.loads(source)["url"]).path)) if source else Path()
    if installed.suffix == ".whl" and installed.is_file():
        return installed
    return build(ROOT, out, environment)


def build(project: Path, out: Path, environment: Environment) -> Path:
    environment.pip("wheel", "--no-deps", "-w", out / project.name, project, cwd=out)
    return next((out / project.name).glob("*.whl"))


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    """An environment with only the core, and one that also has the policy; neither shares anything with the one that runs the tests."""
    folder = tmp_path_factory.mktemp("somebody")
    made = [Environment(folder / name) for name in ("plain", "paying")]
    for environment in made:
        venv.create(environment.folder, with_pip=True)
    plain, paying = made
    source = shutil.copytree(PAYING, folder / "sources" / "scout-paying")
    core, policy = core_wheel(folder, plain), build(source, folder, plain)
    plain.pip("install", core, cwd=folder)
    paying.pip("install", core, policy, cwd=folder)
    return made


@pytest.fixture
def plain(environments):
    return environments[0]


@pytest.fixture
def paying(environments):
    return environments[1]


@pytest.fixture
def use(tmp_path):
    """Runs the app in an environment; gives the report that arrived."""
    sink = CollectorSink()
    announced(tmp_path / "state", sink.url)
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")

    def run_app(environment: Environment, **settings: str) -> Report:
        arrived = len(sink.reports)
        out = run(
            environment.program("python"), "-W", "error", "app.py", cwd=tmp_path,
            SCOUT_STATE_DIR=str(tmp_path / "state"), PYTHONPATH=str(tmp_path), **settings,
        )  # fmt: skip
        assert "" == out
        (report,) = sink.reports[arrived:]
        assert 60 == report.counters["collector"].finished
        return report

    yield run_app
    sink.close()


def kept(report: Report) -> dict[str, Trace]:
    return {trace.name.removeprefix("Controller/"): trace for trace in report.traces}


def status(report: Report, name: str) -> PluginStatus:
    return {plugin.name: plugin for plugin in report.plugins}[name]


def test_without_the_policy_the_slowest_are_kept(plain, use):
    report = use(plain)

    assert {"report", "list"} == set(kept(report))
    assert set(POLICIES) == set(kept(report)["report"].policies)
    assert "paying" not in {plugin.name for plugin in report.plugins}


def test_installing_the_policy_changes_which_traces_are_kept(plain, paying, use):
    before = kept(use(plain))["report"]
    report = use(paying)
    traces = kept(report)

    assert {"account", "report"} == set(traces)
    assert 5.0 == traces["account"].policies["paying"]
    assert sum(traces["account"].policies.values()) == traces["account"].score > 5
    assert {**before.policies, "paying": 0.0} == pytest.approx(traces["report"].policies, abs=0.01)
    assert ("active", "scout-paying", "1.2.3", ("score_transaction",)) == (
        status(report, "paying").state,
        status(report, "paying").distribution,
        status(report, "paying").version,
        status(report, "paying").hooks,
    )
    assert 60 == status(report, "paying").calls


def test_the_command_shows_the_policy(paying, tmp_path):
    listed = json.loads(run(paying.program("scout-core"), "plugins", "--json", cwd=tmp_path))
    (plugin,) = [plugin for plugin in listed if plugin["name"] == "paying"]

    assert ("active", "scout-paying", ["score_transaction"]) == (
        plugin["state"],
        plugin["distribution"],
        plugin["hooks"],
    )


def test_the_policy_is_turned_off_by_its_name(plain, paying, use):
    report = use(paying, SCOUT_PLUGINS_DISABLE="paying")

    assert set(kept(use(plain))) == set(kept(report))
    assert "paying" not in kept(report)["report"].policies
    assert ("disabled", "plugins.disable (environment SCOUT_PLUGINS_DISABLE) contains it", 0) == (
        status(report, "paying").state,
        status(report, "paying").reason,
        status(report, "paying").calls,
    )


def test_the_weight_of_the_policy_is_the_users(paying, use):
    traces = kept(use(paying, SCOUT_POLICIES="paying:0.001"))

    assert {"report", "list"} == set(traces)


def test_the_same_file_works_without_being_packaged(plain, use, tmp_path):
    shutil.copy(PAYING / "scout_paying.py", tmp_path / "my_policies.py")
    report = use(plain, SCOUT_PLUGINS="my_policies")
    traces = kept(report)
    off = use(plain, SCOUT_PLUGINS="my_policies", SCOUT_PLUGINS_DISABLE="my_policies")

    assert {"account", "report"} == set(traces)
    assert 5.0 == traces["account"].policies["my_policies"]
    assert ("active", None) == (status(report, "my_policies").state, status(report, "my_policies").distribution)
    assert {"report", "list"} == set(kept(off))
    assert "disabled" == status(off, "my_policies").state


@pytest.mark.parametrize("name", FAULTY)
def test_a_policy_that_misbehaves_costs_only_its_own_points(plain, use, tmp_path, name):
    shutil.copy(PAYING / "scout_paying.py", tmp_path / "my_policies.py")
    (tmp_path / f"{name}_policy.py").write_text(
        f"import threading\nfrom scout_core import hookimpl\n\n\n@hookimpl\ndef score_transaction(transaction):\n    {FAULTY[name]}\n",
        encoding="utf-8",
    )
    without = kept(use(plain, SCOUT_PLUGINS="my_policies"))
    report = use(plain, SCOUT_PLUGINS=f"my_policies,{name}_policy")
    traces = kept(report)
    faulty = status(report, f"{name}_policy")

    assert {"account", "report"} == set(without) == set(traces)
    for kind, trace in traces.items():
        own = {key: points for key, points in trace.policies.items() if key != f"{name}_policy"}
        assert without[kind].policies == pytest.approx(own, abs=0.02), "age is by the clock"
    assert "quarantined" == faulty.state
    assert "score_transaction is switched off" in faulty.reason
    assert faulty.calls <= 10
    assert (0 if name == "slow" else faulty.calls) == faulty.errors
    assert 60 == status(report, "my_policies").calls
    assert "active" == status(report, "my_policies").state


def test_a_policy_that_cannot_be_imported_is_shown_and_the_others_work(plain, use, tmp_path):
    shutil.copy(PAYING / "scout_paying.py", tmp_path / "my_policies.py")
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n", encoding="utf-8")
    report = use(plain, SCOUT_PLUGINS="broken,my_policies")

    assert {"account", "report"} == set(kept(report))
    assert "failed" == status(report, "broken").state
    assert "no_such_module_anywhere" in status(report, "broken").reason


def test_the_tests_use_the_interpreter_that_runs_them(plain):
    version = run(plain.program("python"), "-c", "import sys; print(*sys.version_info[:2])", cwd=plain.folder)

    assert f"{sys.version_info[0]} {sys.version_info[1]}\n" == version
