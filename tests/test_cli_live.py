"""How the command shows running processes, with the data of the dashboard that they report to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest

from scout_core.cli import live
from scout_core.cli.live import Summary, seconds
from scout_core.config.config import Config
from scout_core.states import State
from tests.commandline import Commandline, Ran

pytest.importorskip("scout_dashboard", reason="not with the core only: the dashboard is a plugin")

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
import scout_core.builtin.collector
import scout_core.clocks

if len(sys.argv) > 2:  # it reports as if it ended so many seconds ago, and sends that now
    now = scout_core.clocks.time
    for module in list(sys.modules.values()):
        if getattr(module, "time", None) is now and module is not scout_core.builtin.collector:
            module.time = lambda: now() - float(sys.argv[2])

for number in range(30):
    with scout_core.transaction("Job/x") as job:
        job.tag("key", sys.argv[1])
"""
GOES_WELL, FAILS = "number", "nothing"


@pytest.fixture
def scout_core(tmp_path):
    commandline = Commandline(tmp_path)
    commandline.write_module("my_policy", POLICY)
    commandline.write("app.py", APP)
    return commandline


def after_processes(scout_core, keys: list[str], *commands: str, **settings: str) -> list[Ran]:
    """Run each command under a dashboard, after a process for each key has reported to it and ended; return the results."""
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
    """Return the lines of one fact in the details of a plugin, without the indent."""
    (text,) = re.findall(rf"^  {name} +(.*(?:\n {{14}}.*)*)", ran.out, re.MULTILINE)
    return re.sub(r"\n {14}", "\n", text)


def test_the_details_of_a_plugin_have_the_times_targets_and_functions_of_every_process(scout_core):
    text, as_json = after_processes(
        scout_core, [GOES_WELL], "scout-core plugins my_policy", "scout-core plugins my_policy --json"
    )

    lines = fact(text, "process").splitlines()
    assert (0, "active") == (text.code, fact(text, "state").splitlines()[0])
    assert re.fullmatch(r"\d+ \(Shop on .+\) active; 30 calls, 0 errors; reported \d+ s ago", lines[0])
    assert ["wrapped: json:dumps", "waiting: a_library_that_is_not_there:work", "not found: json:nothing: json has no nothing"] == lines[1:4]  # fmt: skip
    assert re.fullmatch(r"score_transaction: 30 calls, p50 [\d.]+ [µm]s, p95 [\d.]+ [µm]s", lines[4])
    (process,) = as_json.json["processes"]
    (function,) = [function for function in process["functions"] if function["calls"]]
    assert 0 < function["p50_ms"] <= function["p95_ms"]
    assert (["json:dumps"], ["a_library_that_is_not_there:work"], ["json:nothing"]) == tuple(
        process[key] for key in ("wrapped", "waiting", "not_found")
    )


def test_the_details_of_a_quarantined_plugin_begin_with_the_quarantine_and_have_the_traceback(scout_core):
    text, as_json = after_processes(
        scout_core, [GOES_WELL, FAILS], "scout-core plugins my_policy", "scout-core plugins my_policy --json"
    )

    file = scout_core.here / "my_policy.py"
    state, new_process = fact(text, "state").splitlines()
    assert (1, 1, "active in a new process") == (text.code, as_json.code, new_process)
    assert "quarantined in 1 of 2 processes: score_transaction is switched off: 10 errors in a row" == state
    assert "fix my_policy and restart the process" == fact(text, "next")
    traceback = [(str(file), 18, "plan_of"), (str(file), 15, "score_transaction")]
    places = [f"{file}:{line} in {function}" for file, line, function in traceback]
    assert "\n".join(f"                  {place}" for place in places) in text.out
    assert ">   18      return" in text.out
    (process,) = [process for process in as_json.json["processes"] if process["state"] == "quarantined"]
    frames = [tuple(frame.values()) for frame in process["traceback"]]
    assert (traceback, "quarantined") == (frames, as_json.json["running"]["state"])


def test_the_table_has_the_worst_state_and_the_cost_in_running_processes(scout_core):
    table, as_json = after_processes(scout_core, [FAILS, GOES_WELL], "scout-core plugins", "scout-core plugins --json")

    lines = table.out.splitlines()
    assert (1, 1) == (table.code, as_json.code)
    assert re.match(r"NAME +VERSION +STATE +RUNNING +COST P95 +TARGET +HOOKS +FROM$", lines[0])
    (row,) = [line for line in lines if line.startswith("my_policy ")][:1]
    assert re.match(r"my_policy +active +quarantined \(1/2\) +[\d.]+ [µm]s ", row)
    assert any(re.match(r"speed +\S+ +active +active \(2/2\) +[\d.]+ [µm]s ", line) for line in lines)
    assert any(line.startswith("my_policy is quarantined in 1 of 2 processes: score_tr") for line in lines)
    assert "RUNNING and COST P95: from the dashboard, for 2 processes" == lines[-1]
    running = as_json.named("my_policy")["running"]
    assert ("quarantined", 1, 2) == (running["state"], running["count"], running["processes"])


def test_the_doctor_reports_a_quarantined_plugin(scout_core):
    (ran,) = after_processes(scout_core, [FAILS], "scout-core doctor --json")

    ((state, text, advice),) = [
        (finding["state"], finding["text"], finding["advice"])
        for finding in ran.json["findings"]
        if finding["area"] == "plugins" and finding["state"] in ("ok", "problem")
    ]
    assert (1, "problem", "fix my_policy and restart the process; details: scout-core plugins my_policy") == (
        ran.code,
        state,
        advice,
    )
    assert text.startswith("my_policy is quarantined in 1 process: score_transaction is switched off: ")


def test_processes_that_have_ended_are_shown_with_their_age_and_are_not_counted(scout_core):
    """The process reports every minute, whatever the period is in the shell that asks."""
    detail, table, doctor = after_processes(
        scout_core,
        [f"{FAILS} 400"],
        *(
            f"SCOUT_REPORT_PERIOD=3000 scout-core {command}"
            for command in ("plugins my_policy", "plugins", "doctor --json")
        ),
    )

    assert (0, 0, "active") == (detail.code, table.code, fact(detail, "state"))
    assert re.match(
        r"\d+ \(Shop on .+\) has not reported for \d+ min; last state: quarantined: ",
        fact(detail, "process").splitlines()[0],
    )
    assert "RUNNING" not in table.out
    assert "quarantined" not in table.out
    assert "quarantined" not in json.dumps(doctor.json)


def test_the_period_of_the_shell_does_not_decide_whether_a_process_is_running(scout_core):
    (detail,) = after_processes(scout_core, [f"{GOES_WELL} 100"], "SCOUT_REPORT_PERIOD=1 scout-core plugins my_policy")

    assert re.match(r"\d+ \(Shop on .+\) active; 30 calls", fact(detail, "process").splitlines()[0])


@pytest.mark.parametrize(
    ("sent", "ago", "expected"),
    [(True, 9_000, True), (False, 1, False), (None, 100, True), (None, 1_000, False)],
)
def test_the_dashboard_sends_which_process_is_running_and_for_an_earlier_one_the_age_decides(
    monkeypatch, sent, ago, expected
):
    process = {
        "app": "Shop", "host": "web", "pid": 1, "instance": "1", "agent": "0", "python": "3", "revision": "", "started": 1,
        "seen": time.time() - ago, "plugins": [
            {"name": "flask", "state": "active", "reason": "", "calls": 0, "errors": 0, "last_error": None, "traceback": [],
             "functions": [], "wrapped": [], "waiting": [], "not_found": []}
        ],
    }  # fmt: skip
    answer = {"processes": [process if sent is None else {**process, "is_running": sent}]}
    monkeypatch.setattr(live, "ask", lambda config, path: answer)

    assert [expected] == [found.is_running for found in live.live_plugins(Config({}))]


def test_times_are_rounded():
    assert ["0 s", "119 s", "2 min", "3 h"] == [seconds(value) for value in (0.2, 119, 130, 10_000)]


@pytest.mark.parametrize(
    ("state", "count", "processes", "text", "is_bad"),
    [
        ("active", 1, 1, "in 1 process", False),
        ("failed", 2, 2, "in 2 processes", True),
        ("quarantined", 1, 3, "in 1 of 3 processes", True),
    ],
)
def test_the_share_of_processes_in_a_state_is_described(state, count, processes, text, is_bad):
    summary = Summary(State(state), count, processes, "", None, None)

    assert (text, is_bad) == (summary.share, summary.is_bad)
