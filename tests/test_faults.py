"""
A faulty plugin affects only itself: the application runs as it does without the agent, other plugins load, and the reason is shown.

Real distributions in a separate, real environment; the faulty one is in an additional folder of ``sys.path``.
"""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tests.faults.installing import build_wheel, install
from tests.faults.table import FAULTS, GOOD, Fault
from tests.test_third_party import Environment, clean_environment, core_wheel

WARES = """
def add(a, b):
    return a + b


def fail():
    raise ValueError("sold out")
"""

NEIGHBOUR = """
from scout_core import hookimpl, span


@hookimpl
def instrument(wrap):
    wrap("wares:add", add)


@hookimpl
def score_transaction(transaction):
    return 0.5


def add(a, b):
    return span("Wares/Add")
"""

APP = """
import json, os, sys

agent = None
if os.environ.get("RUN_WITH"):
    import scout_core
    agent = scout_core.start(name="Shop", report_period=100, monitor=True)
    transaction = scout_core.transaction
else:
    from contextlib import nullcontext as transaction

import wares
add, kept = wares.add, []
for number in range(30):
    with transaction("Controller/home"):
        print(number, wares.add(number, 1))
        try:
            wares.fail()
        except ValueError as error:
            print("caught", error, error.__context__, error.__cause__)
if agent is not None:
    scout_core.start(name="Store")  # as a framework's extension does when the agent runs already
    scout_core.stop(10)
    statuses = agent.plugin_statuses()
    with open(os.environ["RUN_WITH"], "w") as file:
        json.dump([{"name": status.name, "state": status.state, "reason": status.reason, "calls": status.calls} for status in statuses], file)
print("the same" if wares.add.__module__ == "wares" and not hasattr(wares.add, "__wrapped__") else "still wrapped")
sys.exit(5)
"""


@frozen
class Outcome:
    """The results of a process."""

    code: int
    out: str
    err: str
    statuses: dict[str, Any]  # JSON


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The core, a small library, and two plugins for it; their names sort before and after the faulty plugin's."""
    folder = tmp_path_factory.mktemp("somebody")
    created = Environment(folder / "environment")
    venv.create(created.folder, with_pip=True)
    wheels = [build_wheel(folder, "wares", modules={"wares": WARES}, requires=())]
    wheels += [
        build_wheel(folder, f"scout-{name}", modules={f"scout_{name}": NEIGHBOUR}, entries=f"{name} = scout_{name}", extra=("wares>=1",))
        for name in ("anne", "zoe")
    ]  # fmt: skip
    created.pip("install", core_wheel(folder, created), *wheels, cwd=folder)
    (folder / "app.py").write_text(APP, encoding="utf-8")
    return created


class Trial:
    """Runs the application and the command with the additional folder on ``sys.path``."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.site = folder / "site"
        self.home = folder / "home"
        self.path = [self.site]
        self.settings = {"HOME": str(self.home)}
        for directory in (self.site, self.home):
            directory.mkdir()

    def run(self, *command: object, **more: str) -> tuple[int, str, str]:
        """Return exit code, output and errors. The home is only known from the settings."""
        clean = clean_environment()
        kept = {key: value for key, value in clean.items() if not key.startswith("XDG_") and key != "HOME"}
        done = subprocess.run(
            [*map(str, command)], cwd=self.folder, capture_output=True, text=True, timeout=120,
            env={**kept, "PYTHONPATH": os.pathsep.join(map(str, self.path)), **self.settings, **more},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def application(self, *, with_agent: bool = True) -> Outcome:
        statuses_file = self.folder / "statuses.json"
        app = self.environment.folder.parent / "app.py"
        code, out, err = self.run(
            self.environment.program("python"), "-W", "error", app, RUN_WITH=str(statuses_file) if with_agent else ""
        )
        assert "Traceback" not in err, err
        statuses = json.loads(statuses_file.read_text()) if with_agent else []
        return Outcome(code, out, err, {status["name"]: status for status in statuses})

    def command(self) -> Outcome:
        code, out, err = self.run(self.environment.program("scout-core"), "plugins", "--json")
        assert "Traceback" not in err, err
        return Outcome(code, out, err, {status["name"]: status for status in json.loads(out)})


@pytest.fixture(scope="module")
def expected(environment, tmp_path_factory):
    """Exit code and output of the application without the agent."""
    folder = tmp_path_factory.mktemp("expected")
    outcome = Trial(environment, folder).application(with_agent=False)
    return outcome.code, outcome.out


@pytest.fixture
def trial(environment, tmp_path):
    return Trial(environment, tmp_path)


def install_fault(trial: Trial, fault: Fault) -> None:
    wheel = build_wheel(
        trial.folder / "wheels", "scout-faulty", modules={"scout_faulty": fault.source}, entries=fault.entries,
        requires=fault.requires, extra=fault.extra,
    )  # fmt: skip
    metadata = install(wheel, trial.site)
    if fault.damage is not None:
        fault.damage(metadata)


def neighbours(outcome: Outcome) -> list[str]:
    return [outcome.statuses[name]["state"] for name in ("anne", "zoe", "speed", "age")]


def calls(outcome: Outcome) -> list[int]:
    """Calls of the two other plugins: a describer and a policy, thirty times each."""
    return [outcome.statuses[name]["calls"] for name in ("anne", "zoe")]


def reason(outcome: Outcome, name: str) -> tuple[str, str]:
    """State and reason; for an unlisted plugin the text on standard error."""
    status = outcome.statuses.get(name)
    return (status["state"], status["reason"]) if status else ("absent", outcome.err)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_only_affects_its_own_plugin(trial, expected, fault):
    install_fault(trial, fault)
    command, application = trial.command(), trial.application()
    shown, running = reason(command, fault.row), reason(application, fault.row)
    state, words = fault.in_application

    assert expected == (application.code, application.out)
    assert (["active"] * 4, [60, 60]) == (neighbours(application), calls(application))
    assert ["waiting", "waiting", "active", "active"] == neighbours(command)
    assert (fault.state, []) == (shown[0], [word for word in fault.words if word not in shown[1]])
    assert (state, []) == (running[0], [word for word in words if word not in running[1]])
    assert [] == [word for word in fault.printed if word not in command.err]
    assert (1 if fault.state == "failed" or "problem: " in command.err else 0) == command.code
    assert len(shown[1]) < 2_000


TWO = {"scout-first": "scout_first", "scout-second": "scout_second"}


@pytest.mark.parametrize("order", [("scout-first", "scout-second"), ("scout-second", "scout-first")], ids=str)
def test_the_same_of_two_plugins_with_equal_names_loads_in_both_orders_of_installation(trial, expected, order):
    """They are in two folders of ``sys.path``, in both orders."""
    for folder, name in zip(("site", "site2"), order, strict=True):
        wheel = build_wheel(trial.folder, name, modules={TWO[name]: GOOD}, entries=f"faulty = {TWO[name]}")
        install(wheel, trial.folder / folder)
    trial.path = [trial.site, trial.folder / "site2"]
    command, application = trial.command(), trial.application()
    problem = "plugin 'faulty' of scout-second is not loaded: scout-first already uses the name"

    assert expected == (application.code, application.out)
    assert (["active"] * 4, [60, 60]) == (neighbours(application), calls(application))
    assert ("scout-first", "active") == (
        command.statuses["faulty"]["distribution"],
        command.statuses["faulty"]["state"],
    )
    assert problem in command.err
    assert problem in application.err


WRAPPED_TWICE = """
import sys
import wares
original = wares.add
import scout_core
from scout_core import transaction

agent = scout_core.start(report_period=100)
plugins = [agent.plugins.all[name] for name in sys.argv[2:]]


def operations():
    with transaction("Controller/home") as recorded:
        assert wares.add(1, 2) == 3
    return [span.operation for span in recorded.spans]


steps = [operations(), wares.add is original]
if sys.argv[1] == "together":
    scout_core.stop(10)
    assert wares.add(1, 2) == 3
    steps += [wares.add is original]
else:
    for plugin in plugins:
        plugin.undo()
        steps += [operations(), wares.add is original]
    scout_core.stop(10)
print(steps, wares.add is original)
"""


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")], ids=" ".join)
@pytest.mark.parametrize("how", ["together", "separately"])
def test_two_plugins_can_wrap_the_same_function(trial, how, names):
    """Both record their spans. Undone together, or separately in both orders, the function is the original object again."""
    for name in ("first", "second"):
        source = NEIGHBOUR.replace("Wares/Add", f"Wares/{name}")
        install(
            build_wheel(
                trial.folder, f"scout-{name}", modules={f"scout_{name}": source}, entries=f"{name} = scout_{name}"
            ),
            trial.site,
        )
    (trial.folder / "same.py").write_text(WRAPPED_TWICE)
    outcome = trial.run(
        trial.environment.program("python"), "-W", "error", "same.py", how, *names, SCOUT_PLUGINS_DISABLE="anne,zoe"
    )
    both = ["Wares/first", "Wares/second"]  # in the order in which they end: the inner one first
    steps = [True] if how == "together" else [[f"Wares/{names[1]}"], False, [], True]

    assert (0, f"{[both, False, *steps]} True\n", "") == outcome


def home_linked_to_itself(trial: Trial) -> dict[str, str]:
    (trial.folder / "loop").symlink_to("loop")
    return {"HOME": str(trial.folder / "loop")}


def home_file(trial: Trial) -> dict[str, str]:
    (trial.folder / "file").write_text("")
    return {"HOME": str(trial.folder / "file")}


def files_instead_of_folders(trial: Trial) -> dict[str, str]:
    (trial.folder / "file").write_text("")
    return {"HOME": str(trial.home), **dict.fromkeys(XDG, str(trial.folder / "file"))}


def read_only_home(trial: Trial) -> dict[str, str]:
    trial.home.chmod(0o500)
    return {"HOME": str(trial.home)}


XDG = ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
HOMES = {
    "is a file": home_file,
    "is a link to itself": home_linked_to_itself,
    "does not exist and cannot be created": lambda trial: {"HOME": "/proc/nobody"},
    "is on a device": lambda trial: {"HOME": os.devnull},
    "is not set": lambda trial: {},
    "is empty": lambda trial: {"HOME": ""},
    "is relative": lambda trial: {"HOME": "not/here"},
    "has files instead of folders": files_instead_of_folders,
    "is read-only": read_only_home,  # has no effect for root
}


@pytest.mark.parametrize("home", HOMES)
def test_an_unusable_home_has_no_effect(trial, expected, home):
    install_fault(trial, Fault(name="fails", source="import no_such_module\n"))
    trial.settings = HOMES[home](trial)
    command, application = trial.command(), trial.application()

    assert expected == (application.code, application.out)
    assert (["active"] * 4, [60, 60]) == (neighbours(application), calls(application))
    assert "failed" == command.statuses["faulty"]["state"] == application.statuses["faulty"]["state"]
    assert ["plugin 'faulty' has failed; the application is not affected"] == [
        line.partition(":")[0] for line in application.err.splitlines()
    ]
    assert "" == command.err


def test_all_faults_at_once(trial, expected):
    """Every fault in a separate distribution, all of them installed by pip."""
    faults = [fault for fault in FAULTS if fault.state == "failed" and fault.damage is None and fault.row == "faulty"]
    faults = [
        fault for fault in faults if fault.entries == "faulty = scout_faulty" and fault.requires == ("scout-core>=0.1",)
    ]
    wheels = [
        build_wheel(
            trial.folder / "wheels", f"scout-faulty{number}", modules={f"scout_faulty{number}": fault.source},
            entries=f"faulty{number} = scout_faulty{number}",
        )
        for number, fault in enumerate(faults)
    ]  # fmt: skip
    trial.environment.pip("install", "--no-deps", "--no-index", "--target", trial.site, *wheels, cwd=trial.folder)
    command, application = trial.command(), trial.application()
    code, table, err = trial.run(trial.environment.program("scout-core"), "plugins")

    assert expected == (application.code, application.out)
    assert (["active"] * 4, [60, 60]) == (neighbours(application), calls(application))
    assert len(faults) > 20
    for outcome in (command, application):
        for number, fault in enumerate(faults):
            state, words = reason(outcome, f"faulty{number}")
            assert ("failed", []) == (
                state,
                [word for word in fault.words if word.replace("scout_faulty", f"scout_faulty{number}") not in words],
            )
    assert (1, "") == (code, err)
    assert [] == [number for number in range(len(faults)) if f"\nfaulty{number} has failed: " not in table]
