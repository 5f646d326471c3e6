"""What the command tells of processes that run: asked of the dashboard that they report to."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from scout_core.cli.live import Living, microseconds, seconds
from tests.commandline import Commandline, Ran

pytest.importorskip("scout_dashboard", reason="not with the core alone: only a dashboard knows of processes")

POLICY = """
from scout_core import hookimpl

@hookimpl
def instrument(wrap):
    wrap("json:dumps", dumps)
    wrap("json:nothing", dumps, optional=True)
    wrap("a_library_that_is_not_there:work", dumps)

def dumps(*args, **kwargs):
    return None

@hookimpl
def score_transaction(transaction):
    return plan_of(transaction)

def plan_of(transaction):
    return {"number": 1.0}[transaction.tags.get("key")]
"""
APP = """
import sys
import scout_core

for number in range(30):
    with scout_core.transaction("Job/x") as job:
        job.tag("key", sys.argv[1])
"""
GOES_WELL, FAILS = "number", "nothing"


@pytest.fixture
def scout_core(tmp_path):
    here = Commandline(tmp_path)
    here.write_module("my_policy", POLICY)
    here.write("app.py", APP)
    return here


def after_processes(scout_core, keys: list[str], *commands: str, **settings: str) -> list[Ran]:
    """Each command, after a process for each key has ended, while the dashboard runs that they reported to."""
    parts = [f'"$python" app.py {key}' for key in keys]
    parts += [
        f'echo "--- output"; {command.replace("scout-core", "$python -m scout_core")} 2>err; echo "--- $?"; cat err'
        for command in commands
    ]
    script = 'python="$1"; ' + "; ".join(parts)
    done = subprocess.run(
        [sys.executable, "-m", "scout_core", "up", "--port", "0", "--", "sh", "-c", script, "sh", sys.executable],
        cwd=scout_core.here,
        env=scout_core.environment(SCOUT_PLUGINS="my_policy", SCOUT_NAME="Shop", **settings),
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    found = re.findall(r"--- output\n(.*?)--- (\d)\n(.*?)(?=--- output|\Z)", done.stdout, re.DOTALL)

    assert len(commands) == len(found), done.stdout + done.stderr
    return [Ran(int(code), out, err) for out, code, err in found]


def fact(ran: Ran, name: str) -> str:
    """The lines of one fact of a detail, without the margin."""
    (text,) = re.findall(rf"^  {name} +(.*(?:\n {{14}}.*)*)", ran.out, re.MULTILINE)
    return re.sub(r"\n {14}", "\n", text)


def test_the_detail_has_the_times_targets_and_functions_of_each_process(scout_core):
    told, as_json = after_processes(
        scout_core, [GOES_WELL], "scout-core plugins my_policy", "scout-core plugins my_policy --json"
    )

    lines = fact(told, "process").splitlines()
    assert (0, "active") == (told.code, fact(told, "state").splitlines()[0])
    assert re.fullmatch(r"\d+ \(Shop on .+\) active; 30 calls, 0 errors; reported \d+ s ago", lines[0])
    assert ["wrapped: json:dumps", "waiting: a_library_that_is_not_there:work", "not found: json:nothing: json has no nothing"] == lines[1:4]  # fmt: skip
    assert re.fullmatch(r"score_transaction: 30 calls, half within [\d.]+ µs, 95 of 100 within [\d.]+ µs", lines[4])
    (process,) = as_json.json["processes"]
    (function,) = [one for one in process["functions"] if one["calls"]]
    assert 0 < function["p50_ms"] <= function["p95_ms"]
    assert (["json:dumps"], ["a_library_that_is_not_there:work"], ["json:nothing: json has no nothing"]) == tuple(
        process[key] for key in ("wrapped", "waiting", "not_found")
    )


def test_the_detail_of_a_quarantined_plugin_begins_with_that_and_has_the_traceback(scout_core):
    told, as_json = after_processes(
        scout_core, [GOES_WELL, FAILS], "scout-core plugins my_policy", "scout-core plugins my_policy --json"
    )

    file = scout_core.here / "my_policy.py"
    state, here = fact(told, "state").splitlines()
    assert (1, 1, "active in one that starts here") == (told.code, as_json.code, here)
    assert "quarantined in 1 of 2 processes: score_transaction is switched off: 10 errors in a row" == state
    assert "mend it, and restart the processes where it is quarantined" == fact(told, "next")
    traceback = [f"{file}:18 in plan_of", f"{file}:15 in score_transaction"]
    assert "\n".join(f"                  {frame}" for frame in traceback) in told.out
    assert ">   18      return" in told.out
    (process,) = [one for one in as_json.json["processes"] if one["state"] == "quarantined"]
    assert (traceback, "quarantined") == (process["traceback"], as_json.json["running"]["state"])


def test_the_table_has_the_worst_state_and_the_cost_in_processes_that_run(scout_core):
    table, as_json = after_processes(scout_core, [FAILS, GOES_WELL], "scout-core plugins", "scout-core plugins --json")

    lines = table.out.splitlines()
    assert (1, 1) == (table.code, as_json.code)
    assert re.match(r"NAME +VERSION +STATE +RUNNING +COST P95 +TARGET +HOOKS +FROM$", lines[0])
    (row,) = [line for line in lines if line.startswith("my_policy ")][:1]
    assert re.match(r"my_policy +active +quarantined \(1/2\) +[\d.]+ µs ", row)
    assert any(re.match(r"speed +\S+ +active +active \(2/2\) +[\d.]+ µs ", line) for line in lines)
    assert any(line.startswith("my_policy is quarantined in 1 of 2 processes: score_tr") for line in lines)
    assert "RUNNING and COST P95: from the dashboard, of 2 processes" == lines[-1]
    running = as_json.named("my_policy")["running"]
    assert ("quarantined", 1, 2) == (running["state"], running["worst"], running["processes"])


def test_the_doctor_takes_a_quarantined_plugin_for_a_problem(scout_core):
    (ran,) = after_processes(scout_core, [FAILS], "scout-core doctor --json")

    found = [(one["state"], one["text"], one["advice"]) for one in ran.json["findings"] if one["area"] == "plugins"]
    ((state, text, advice),) = [one for one in found if one[0] in ("ok", "problem")]
    assert (1, "problem", "scout-core plugins my_policy") == (ran.code, state, advice)
    assert text.startswith("my_policy is quarantined in 1 process: score_transaction is switched off: ")


def test_processes_that_have_ended_are_shown_with_their_age_and_count_for_nothing(scout_core):
    """With the shortest period each process has ended when the command asks: three periods are over."""
    detail, table, doctor = after_processes(
        scout_core,
        [FAILS],
        *(
            f"SCOUT_REPORT_PERIOD=0.001 scout-core {command}"
            for command in ("plugins my_policy", "plugins", "doctor --json")
        ),
    )

    assert (0, 0, "active") == (detail.code, table.code, fact(detail, "state"))
    assert re.match(
        r"\d+ \(Shop on .+\) has not reported for \d+ s; it was quarantined: ", fact(detail, "process").splitlines()[0]
    )
    assert "RUNNING" not in table.out
    assert "quarantined" not in table.out
    assert "quarantined" not in json.dumps(doctor.json)


def test_figures_are_told_shortly():
    assert ["0.4 µs", "9.8 µs", "12 µs", "2500 µs"] == [microseconds(value) for value in (0.0004, 0.0098, 0.012, 2.5)]
    assert ["0 s", "119 s", "2 min", "3 h"] == [seconds(value) for value in (0.2, 119, 130, 10_000)]


@pytest.mark.parametrize(
    ("state", "worst", "processes", "told", "is_bad"),
    [
        ("active", 1, 1, "active in 1 process", False),
        ("failed", 2, 2, "failed in 2 processes", True),
        ("quarantined", 1, 3, "quarantined in 1 of 3 processes", True),
    ],
)
def test_a_state_in_many_processes_is_one_phrase(state, worst, processes, told, is_bad):
    living = Living(state, worst, processes, "", None)

    assert (told, is_bad) == (living.told(), living.is_bad)
