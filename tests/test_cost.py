"""The command that counts instructions fails when a plugin does more on every span, and when it cannot compare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
LOOP = """
from scout_core import hookimpl

@hookimpl
def on_span(span):
    for _ in range(10):
        pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cost")


@pytest.fixture(scope="module")
def count(folder):
    """Run the command on the smallest workload, with a baseline in a folder of its own."""

    def count(*options):
        command = [
            sys.executable,
            str(BENCHMARKS / "cost.py"),
            "--only",
            "flat",
            "--baseline",
            "baseline.json",
            *options,
        ]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)

    return count


@pytest.fixture(scope="module")
def baseline(folder, count):
    """The file with the counts of this environment."""
    result = count("--accept")
    assert 0 == result.returncode, result.stderr
    return folder / "baseline.json"


@pytest.fixture
def command(monkeypatch):
    """The module with the command, to call without counting."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from bench import cost_command

    return cost_command


REAL_CLOCKS = """
import sys
sys.path.insert(0, sys.argv[1])
from bench.clocks import modules_with_real_clocks, replace_clocks
{first}
replace_clocks()
import scout_core.agent, scout_core.recording.span
{second}
print(modules_with_real_clocks())
"""


def real_clocks(first="", second=""):
    """Run in a new interpreter, and return what it prints and its last line on standard error."""
    code = REAL_CLOCKS.format(first=first, second=second)
    result = subprocess.run([sys.executable, "-c", code, str(BENCHMARKS)], capture_output=True, text=True, timeout=60)
    return result.stdout.strip(), result.stderr.strip().rpartition("\n")[2]


def test_everything_that_is_counted_reads_fixed_clocks():
    assert ("[]", "") == real_clocks()


def test_a_module_that_reads_a_real_clock_is_found():
    real = real_clocks(
        "from time import perf_counter_ns", "scout_core.recording.span.perf_counter_ns = perf_counter_ns"
    )

    assert ("['scout_core.recording.span.perf_counter_ns']", "") == real


def test_clocks_cannot_be_replaced_too_late():
    assert (
        "RuntimeError: the clocks must be replaced before scout_core is imported" == real_clocks("import scout_core")[1]
    )


def test_a_baseline_holds_both_threads_and_what_the_counts_depend_on(baseline):
    stored = json.loads(baseline.read_text(encoding="utf-8"))

    assert ["flat, agent's thread", "flat, caller"] == list(stored["costs"])
    assert all(cost["added"] > 1_000 and cost["request"] > 100_000 for cost in stored["costs"].values())
    assert {"attrs", "flask", "pluggy", "werkzeug"} < set(stored["libraries"])


def test_a_loop_in_a_hook_makes_it_fail_and_the_baseline_stays(folder, count, baseline):
    (folder / "plugin_that_loops.py").write_text(LOOP, encoding="utf-8")
    before = baseline.read_text(encoding="utf-8")
    result = count("--plugins", "plugin_that_loops")

    assert 1 == result.returncode
    assert "The cost has grown by more than 3%:\n  flat, caller: " in result.stderr
    assert "flat, agent's thread" not in result.stderr  # the hook runs on the caller only
    assert "nox -s cost -- --accept" in result.stderr
    assert before == baseline.read_text(encoding="utf-8")


@pytest.mark.parametrize(("factor", "code"), [(1.0, 0), (1.02, 0), (1.04, 1), (0.9, 0)])
def test_a_ratio_may_grow_by_three_per_cent(command, baseline, factor, code):
    stored = command.baseline.read(baseline)
    costs = [evolve(cost, ratio=cost.ratio * factor) for cost in stored.costs.values()]

    assert code == command.compare(costs, stored, baseline)


def test_a_smaller_cost_asks_for_a_new_baseline(command, baseline, capsys):
    stored = command.baseline.read(baseline)
    command.compare([evolve(cost, ratio=cost.ratio * 0.9) for cost in stored.costs.values()], stored, baseline)

    assert "The cost has shrunk by more than 3%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"libraries": {"flask": "1.0"}}, "the baseline is of flask 1.0, "),
        ({"machine": "pdp11"}, "the baseline is of pdp11, this is "),
    ],
)
def test_counts_of_another_environment_are_not_compared(command, baseline, capsys, change, message):
    stored = evolve(command.baseline.read(baseline), **change)

    assert 2 == command.compare(list(stored.costs.values()), stored, baseline)
    assert message in capsys.readouterr().err


def test_another_build_of_python_is_noticed_by_the_request_without_an_agent(command, baseline, capsys):
    stored = command.baseline.read(baseline)
    costs = [evolve(cost, request=round(cost.request * 1.1)) for cost in stored.costs.values()]

    assert 2 == command.compare(costs, stored, baseline)
    assert "another build of Python" in capsys.readouterr().err


def test_without_a_baseline_it_prints_how_to_store_it(command, tmp_path, capsys):
    assert 2 == command.compare([], None, tmp_path / "none.json")
    assert "none.json does not exist; store these counts there with --accept" in capsys.readouterr().err


@pytest.fixture
def counting(monkeypatch):
    """The module that chooses the Python to count on, and the commit to compare with."""
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    import counting

    return counting


@pytest.fixture
def pythons(tmp_path):
    """A function that makes an interpreter of a version in a folder of its own, and a path with all of them."""
    folders = []

    def make(*versions):
        for version in versions:
            folder = tmp_path / f"python-{version}"
            folder.mkdir()
            python = folder / f"python{version.rpartition('.')[0]}"
            python.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
            python.chmod(0o755)
            folders.append(str(folder))
        return os.pathsep.join(folders)

    return make


@pytest.mark.parametrize(
    ("here", "stored", "chosen"),
    [
        (["3.11.7"], ["3.11.7"], "3.11.7"),
        (["3.11.2", "3.11.7"], ["3.11.7"], "3.11.7"),
        (["3.11.9"], ["3.11.7"], "3.13"),
        (["3.12.1"], ["3.11.7"], "3.13"),
        (["3.12.1"], ["3.11.7", "3.12.1"], "3.12.1"),
        ([], ["3.11.7"], "3.13"),
        (["3.11.7"], [], "3.13"),
    ],
)
def test_counts_are_made_on_a_python_that_some_are_stored_for(
    counting, pythons, tmp_path, monkeypatch, here, stored, chosen
):
    monkeypatch.setenv("PATH", os.pathsep.join(filter(None, [pythons(*here), "/bin"])))
    folder = tmp_path / "baselines"
    folder.mkdir()
    for version in stored:
        (folder / f"{version}.json").write_text("{}", encoding="utf-8")

    assert (sorted(stored), chosen) == (
        counting.stored_versions(folder),
        counting.python_for_counts("3.13", folder),
    )


def test_other_counts_are_compared_with_the_commit_that_stored_the_newest(counting, tmp_path):
    def git(*arguments, cwd=tmp_path / "origin"):
        name = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        done = subprocess.run(["git", *name, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    origin = tmp_path / "origin"
    folder = origin / "baselines"
    folder.mkdir(parents=True)
    git("init", "-q")
    commits = []
    for file in ("README", "baselines/3.11.7.json", "module.py"):
        (origin / file).write_text("", encoding="utf-8")
        git("add", "--all")
        git("commit", "-qm", file)
        commits.append(git("rev-parse", "HEAD"))
    for depth in ("1", "2", "3"):
        git("clone", "-q", "--depth", depth, origin.as_uri(), str(tmp_path / depth))
    known = {depth: counting.stored_with(tmp_path / depth / "baselines") for depth in ("1", "2", "3")}

    assert commits[1] == counting.stored_with(folder)
    assert {"1": None, "2": None, "3": commits[1]} == known
    assert None is counting.stored_with(tmp_path)
