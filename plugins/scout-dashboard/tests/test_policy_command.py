"""``scout-core policy`` in its own process, with the store of a real collector."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sample_reports
from attrs import evolve, frozen

from scout_core.measuring.report import Trace
from scout_dashboard.collector import Collector
from scout_dashboard.store import Store, files

INSTANCE = "00c0ffee00c0ffee"
SEEN = {"count": 204.0, "mean": 0.31, "share": 0.125, "quantile": 0.97, "seconds_since_kept": 90.0}


@frozen
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return [" ".join(line.split()) for line in self.out.splitlines()]


@pytest.fixture
def ask(tmp_path):
    """Run ``scout-core policy …`` in its own directory and return its output."""

    def run(*arguments: str, **environment: str) -> Result:
        plain = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "scout_core", "policy", *arguments],
            cwd=tmp_path,
            env={**plain, "SCOUT_STATE_DIR": str(tmp_path / "state"), **environment},
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def write(tmp_path):
    """Write a policy to the directory of the command."""

    def written(body: str, name: str = "my_policies") -> None:
        text = (
            f"from scout_core import hookimpl\n\n\n@hookimpl\ndef score_transaction(transaction, stats):\n    {body}\n"
        )
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")

    return written


def trace(number: int, name: str, score: float, *, start: float, **changes) -> Trace:
    """A trace kept only by the policy ``speed``."""
    made = Trace(
        id=f"{number:02x}00000000000000", name=name, start=start, duration=0.5, queue_time=None, is_error=False, error=None,
        tags={"plan": "free"}, score=score, policies={"speed": score}, spans=(),
    )  # fmt: skip
    return evolve(made, **changes)


def send(collector: Collector, *traces: Trace, number: int = 1, back: float = 60.0) -> None:
    """Send a report with these traces that ended ``back`` seconds ago."""
    report = evolve(sample_reports.report(end=time.time() - back, number=number, traces=0), traces=traces)
    status, body = sample_reports.send(collector.url, collector.token, report)
    assert 202 == status, body


@pytest.fixture
def filled(collector):
    """Two reports: four web traces of decreasing score, then two and a job."""
    now = time.time()
    names = [f"Controller/{name}" for name in ("shop.home", "shop.cart", "shop.search", "admin.report")]
    send(collector, *(trace(n, name, 4.0 - n, start=now - 100) for n, name in enumerate(names)), back=90)
    paying = {"plan": "enterprise"}
    send(
        collector,
        trace(0xA0, names[0], 2.0, start=now - 40, seen=SEEN, tags={"path": "/", "user_ip": "10.0.0.1"}),
        trace(0xA1, names[3], 1.0, start=now - 39, tags=paying),
        trace(0xB0, "Job/mail.send", 1.5, start=now - 38),
        number=2,
        back=30,
    )
    return collector


def test_without_a_trace_the_newest_are_listed(filled, ask):
    result = ask("explain")

    assert (0, "") == (result.code, result.err)
    assert ["b000000000000000", "a100000000000000"] == [line.split()[0] for line in result.lines[1:3]]
    assert result.lines[1].endswith("500 ms 1.50 mail.send")


def test_a_trace_is_explained_by_what_the_agent_recorded(filled, ask):
    result = ask("explain", "a0")

    assert (0, "") == (result.code, result.err)
    assert "Controller/shop.home a000000000000000" == result.lines[0]
    assert "kept with 2.00 points, rank 1 of 2 in its report" in result.lines
    assert "speed 2.00 duration 500 ms" in result.lines
    assert [
        "count 204 recorded by the agent",
        "mean 310 ms recorded by the agent",
        "share 12.5 % recorded by the agent",
        "quantile 0.970 recorded by the agent",
        "seconds_since_kept 90 recorded by the agent",
    ] == result.lines[-5:]


def test_the_evidence_of_every_policy_is_shown(collector, ask):
    policies = {"speed": 0.1, "percent": 0.3, "age": 0.4, "percentile": 1.4, "shop.paying": 5.0}
    made = trace(1, "Controller/shop.home", 7.2, start=time.time() - 70, policies=policies, seen=SEEN)
    send(collector, made)

    facts = ask("explain", made.id.upper(), "--json").json

    assert [
        ("shop.paying", 5.0, "transaction with plan=free, and the statistics below"),
        ("percentile", 1.4, "97.0 % of 204 transactions were shorter"),
        ("age", 0.4, "last trace of shop.home kept 1 min ago"),
        ("percent", 0.3, "12.5 % of all time is spent in shop.home"),
        ("speed", 0.1, "duration 500 ms"),
    ] == [(policy["policy"], policy["points"], policy["evidence"]) for policy in facts["policies"]]
    assert (SEEN, []) == (facts["stats"], facts["estimated"])


def test_values_that_were_not_recorded_are_estimated_and_marked(filled, ask):
    facts = ask("explain", "a1", "--json").json

    assert ["count", "mean", "quantile", "seconds_since_kept", "share"] == facts["estimated"]
    assert 60 < facts["stats"]["seconds_since_kept"] < 63  # since the trace in the previous report
    assert 0 < facts["stats"]["share"] <= 1
    assert "recorded" not in ask("explain", "a1").out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ff", "trace 'ff' is not stored; run 'scout-core policy explain' to list the newest traces"),
        ("a100000000000001", "trace 'a100000000000001' is not stored; did you mean a100000000000000?"),
        ("admin.report", "trace 'admin.report' is not stored; the newest traces with that name are a100000000000000, 0300000000000000"),
        ("a", "ambiguous trace id 'a'; it matches a000000000000000, a100000000000000"),
        ("%", "trace '%' is not stored; run 'scout-core policy explain' to list the newest traces"),
    ],
)  # fmt: skip
def test_an_unknown_trace_is_a_single_line_error(filled, ask, text, message):
    assert Result(1, "", f"scout-core: {message}\n") == ask("explain", text)


@pytest.mark.parametrize("command", ["explain", "replay"])
def test_a_missing_store_is_a_single_line_error_with_the_next_step(ask, tmp_path, command):
    data = tmp_path / "state" / "data"

    assert Result(
        1,
        "",
        f"scout-core: no data in {data}; start a collector with 'scout-core up', or choose another directory with --data-dir\n",
    ) == ask(command)


def test_the_data_directory_can_be_selected(filled, ask, tmp_path):
    (tmp_path / "state" / "data").rename(tmp_path / "elsewhere")

    assert 0 == ask("explain", "a0", "--data-dir", "elsewhere").code
    assert 0 == ask("explain", "a0", SCOUT_DASHBOARD_DATA_DIR="elsewhere").code
    assert 1 == ask("explain", "a0").code


def test_a_replay_compares_the_traces_that_a_module_would_have_kept(filled, ask, write):
    write("return 10.0 if transaction.operation.endswith('report') else 0.0")

    result = ask("replay", "--last", "1h", "my_policies", SCOUT_PLUGINS_DISABLE="age,error,percent,percentile,speed")

    assert (0, "Policies my_policies") == (result.code, result.lines[0])
    assert "Traces 7 in 3 periods, 2 of them changed" == result.lines[1]
    assert result.lines[2].startswith("Only kept traces are stored")
    assert result.lines[3].startswith("Each period therefore has fewer places")
    assert "\\n" not in result.out
    table = result.lines.index("TRACE BEFORE AFTER NAME")
    assert [
        "0300000000000000 4. 1.00 1. 10.00 gained admin.report",
        "0000000000000000 1. 4.00 2. 0.00 kept shop.home",
        "0100000000000000 2. 3.00 3. 0.00 lost shop.cart",
        "0200000000000000 3. 2.00 4. 0.00 shop.search",
    ] == result.lines[table + 1 : table + 5]
    assert ["admin.report 0 2 +2", "shop.home 2 1 -1", "shop.cart 1 0 -1"] == result.lines[-3:]
    assert "missing policies that gave points originally: speed" in result.err


def test_a_replay_as_json(filled, ask, write):
    write("return 10.0 if transaction.tags.get('plan') == 'enterprise' else 0.0")

    facts = ask("replay", "my_policies", "--json").json

    assert ["age", "error", "my_policies", "percent", "percentile", "speed"] == facts["policies"]
    first, web, jobs = facts["periods"]
    assert [("Shop", "web-1", INSTANCE, "web", 4, 2), ("Shop", "web-1", INSTANCE, "web", 2, 1)] == [
        tuple(period[key] for key in ("app", "host", "instance", "of", "traces", "places")) for period in (first, web)
    ]
    assert (["a100000000000000"], ["a000000000000000"]) == (web["gained"], web["lost"])
    (before,), (after,) = web["before"], web["after"]
    assert (2.0, {"speed": 2.0}) == (before["score"], before["policies"])
    assert 10.0 == after["policies"]["my_policies"]
    assert ("jobs", [], []) == (jobs["of"], jobs["gained"], jobs["lost"])


def test_a_weight_overrides_the_configuration(filled, ask, write, tmp_path):
    write("return 1.0")
    (tmp_path / "scout-core.toml").write_text("[policies]\nmy_policies = 3\nspeed = 0\n", encoding="utf-8")

    configured = ask("replay", "my_policies", "--json").json
    given = ask("replay", "my_policies", "--json", "--weight", "my_policies=2e1", "--weight", "age=0.5").json

    assert {
        "age": 1.0,
        "error": 1.0,
        "my_policies": 3.0,
        "percent": 1.0,
        "percentile": 1.0,
        "speed": 0.0,
    } == configured["weights"]
    assert {"age": 0.5, "error": 1.0, "my_policies": 20.0, "percent": 1.0, "percentile": 1.0, "speed": 0.0} == given[
        "weights"
    ]
    points = [trace["policies"]["my_policies"] for trace in given["periods"][0]["after"]]
    assert [20.0, 20.0] == points


def test_built_in_policies_give_the_same_points_as_in_the_agent(collector, ask):
    made = trace(1, "Controller/shop.home", 1.0, start=time.time() - 70, seen=SEEN)
    send(collector, made)

    (period,) = ask("replay", "--json").json["periods"]

    assert {"age": 0.375, "percent": 0.3125, "percentile": 1.4, "speed": 0.1014} == period["after"][0]["policies"]


def test_a_policy_gets_everything_of_a_transaction_that_was_sent(collector, ask, write):
    name = "Controller/shop.checkout"
    made = sample_reports.report(end=time.time() - 60, traces=1, menu=((name, 0.3, 60.0, 1.0),)).traces[0]
    send(collector, made)
    write(
        "assert transaction.is_error and transaction.error.__name__ == 'IntegrityError' and transaction.is_web\n"
        "    assert [span.operation for span in transaction.spans if span.error] == ['HTTP/GET']\n"
        "    nested = [span for span in transaction.spans if span.parent is not transaction]\n"
        "    assert [span.parent.tags['name'] for span in nested] == ['page.html']\n"
        "    assert transaction.path == '/checkout' and transaction.queue_time == 0.004\n"
        "    assert stats.count >= 1 and 0 <= stats.quantile <= 1 and stats.percentile(0.5) > 0 and stats.mean > 0\n"
        f"    assert abs(transaction.duration - {made.duration!r}) < 1e-6 and transaction.started == {made.start!r}\n"
        "    return float(len(transaction.spans))"
    )

    result = ask("replay", "my_policies", "--json")

    assert (0, "") == (
        result.code,
        result.err.replace("problem: missing policies that gave points originally: paying\n", ""),
    )
    assert float(len(made.spans)) == result.json["periods"][0]["after"][0]["policies"]["my_policies"]


def test_period_length_and_number_of_places_are_options(filled, ask):
    every = ask("replay", "--json", "--per", "7d", "--keep", "1").json["periods"]

    assert [("web", 6, 1), ("jobs", 1, 1)] == [(period["of"], period["traces"], period["places"]) for period in every]


@pytest.mark.parametrize("last", ["60 min", "1h", "0.5h30min", "3600", " 1 hour "])
def test_a_duration_is_written_as_in_the_options(filled, ask, last):
    assert 7 == ask("replay", "--last", last, "--per", "1min 30s", "--json").json["traces"]


def test_a_policy_is_notified_of_kept_traces(filled, ask, write, tmp_path):
    write("return 0.0 if transaction.operation in kept else 1.0")
    with (tmp_path / "my_policies.py").open("a", encoding="utf-8") as file:
        file.write("\n\nkept = set()\n\n\n@hookimpl\ndef on_keep(transaction):\n    kept.add(transaction.operation)\n")

    facts = ask("replay", "my_policies", "--json", SCOUT_PLUGINS_DISABLE="age,error,percent,percentile,speed").json

    assert ["a100000000000000"] == facts["periods"][1]["gained"]  # shop.home was kept in the previous period


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return {}['plan']", r"KeyError: .*plan.* at .*my_policies.py:6 in score_transaction"),
        ("return 'many'", r"a score must be a finite number or None, got str"),
        ("return float('nan')", r"a score must be a finite number or None, got nan"),
        ("raise SystemExit(3)", r"SystemExit.* at .*my_policies.py:6 in score_transaction"),
    ],
)
def test_a_failing_policy_gives_no_points_and_is_reported(filled, ask, write, body, problem):
    write(body)

    result = ask("replay", "my_policies", "--json")

    assert 1 == result.code
    assert re.fullmatch(f"problem: policy my_policies: score_transaction failed 7 of 7 times .*{problem}\n", result.err)
    assert {"age", "percent", "percentile", "speed"} == set(result.json["periods"][0]["after"][0]["policies"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "cannot be imported: ModuleNotFoundError: No module named 'my_policies'"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit(2)", "sys.exit"),
        ("def broken(:", "SyntaxError"),
        ("x = 1", "no function marked with @hookimpl"),
        ("from scout_core import hookimpl\n@hookimpl\ndef score_transactoin(): ...", "did you mean score_transaction?"),
        ("from scout_core import hookimpl\n@hookimpl\ndef on_report(): ...", "has no policy: it has the hooks on_report"),
    ],
)  # fmt: skip
def test_an_unusable_module_is_a_single_line_error(filled, ask, tmp_path, source, message):
    if source is not None:
        (tmp_path / "my_policies.py").write_text(source, encoding="utf-8")

    result = ask("replay", "my_policies")

    assert (1, "", 1) == (result.code, result.out, result.err.count("\n"))
    assert result.err.startswith("scout-core: ")
    assert "'my_policies'" in result.err
    assert message in result.err


def test_output_of_a_module_is_not_in_the_json(filled, ask, write, tmp_path):
    write("print('scoring'); return 1.0")
    with (tmp_path / "my_policies.py").open("a", encoding="utf-8") as file:
        file.write("\n\nprint('imported')\n")

    result = ask("replay", "my_policies", "--json")

    assert 7 == result.json["traces"]
    assert {"imported", "scoring"} == set(result.err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--last", "soon"],
            "invalid value 'soon'; expected a duration above 0 and of at most 36500 d, in seconds or as 500 ms, 2 min, 1h30m",
        ),
        (["--last", "0h"], "invalid value '0h'; expected a duration above 0"),
        (["--last", "1e300"], "invalid value '1e300'; expected a duration above 0 and of at most 36500 d"),
        (["--last", "nan"], "invalid value 'nan'; expected a duration above 0"),
        (["--per", "-1m"], "invalid value '-1m'; expected a duration above 0"),
        (["--weight", "speed=-2"], "'speed=-2' is not a weight; expected a number of at least 0, such as speed=2"),
        (["--weight", "speed=inf"], "'speed=inf' is not a weight; expected a number of at least 0"),
        (["--weight", "=2"], "'=2' is not a weight; use NAME=NUMBER"),
        (["--weight", "speed"], "'speed' is not a weight; use NAME=NUMBER, such as speed=2"),
        (["--weight", "speed=fast"], "'speed=fast' is not a weight"),
        (["--keep", "0"], "0 is not in the range x>=1"),
    ],
)
def test_an_invalid_option_is_a_usage_error(ask, arguments, message):
    result = ask("replay", *arguments)

    assert (2, "") == (result.code, result.out)
    assert message in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weight", "sped=2"], "No such policy 'sped'. Did you mean 'speed'?"),
        (["--app", "Shopp"], "unknown application 'Shopp'; the store contains Shop"),
        (["--last", "1s"], "no trace was kept in this time range; use a longer one, such as --last 1d"),
    ],
)
def test_an_unknown_name_is_a_single_line_error(collector, ask, arguments, message):
    send(collector, trace(1, "Controller/shop.home", 1.0, start=time.time() - 4_000), back=3_900)

    assert Result(1, "", f"scout-core: {message}\n") == ask("replay", *arguments)


def test_a_real_trace_is_explained_as_it_was_scored(collector, ask, tmp_path):
    """From an application with its own policy to the command."""
    (tmp_path / "paying.py").write_text(
        "from scout_core import hookimpl\n@hookimpl\ndef score_transaction(transaction, stats):\n"
        "    return stats.count + stats.quantile\n"
    )
    source = (
        "import scout_core\nscout_core.start(name='Shop', plugins=['paying'])\n"
        "for plan in ('free', 'gold'):\n    with scout_core.transaction('Controller/shop.home', plan=plan):\n        pass\n"
        "scout_core.stop()\n"
    )
    plain = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    subprocess.run(
        [sys.executable, "-c", source],
        check=True,
        cwd=tmp_path,
        env={**plain, "SCOUT_STATE_DIR": str(tmp_path / "state")},
    )

    listed = ask("explain", "--json").json
    facts = ask("explain", listed[0]["id"], "--json").json
    (period,) = ask("replay", "paying", "--json").json["periods"]

    assert [1] == [len(listed)]
    assert [] == facts["estimated"]
    points = {policy["policy"]: policy["points"] for policy in facts["policies"]}
    assert round(facts["stats"]["count"] + facts["stats"]["quantile"], 4) == points["paying"]
    assert pytest.approx(points, abs=1e-3) == period["after"][0]["policies"]


def test_a_file_of_an_earlier_version_is_migrated(tmp_path):
    midnight = float(int(time.time()) // 86_400 * 86_400)
    with_store = Store(tmp_path / "data")
    with_store.apply(sample_reports.report(end=midnight, traces=2), now=midnight)
    with_store.close()
    for kind in files.KINDS:
        connection = sqlite3.connect(files.path_of(tmp_path / "data", kind, files.day_of(midnight)))
        added = {
            "traces": ("trace", ["report"]),
            "metrics": ("process", ["stored", "received", "first_number", "last_number", "is_last"]),
        }
        if kind == "traces":
            connection.executescript("DROP INDEX error_grp; ALTER TABLE error DROP COLUMN grp")
        table, columns = added[kind]
        for column in columns:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
        connection.close()

    again = Store(tmp_path / "data")
    again.apply(sample_reports.report(end=midnight + 60, number=2, traces=2), now=midnight + 60)
    rows = again.reader.rows("traces", "SELECT report FROM trace ORDER BY minute, report")
    stored = again.reader.rows("metrics", "SELECT stored FROM process")
    again.close()

    assert [("",), ("",), (f"{INSTANCE}-2",), (f"{INSTANCE}-2",)] == rows
    assert 0 < stored[0][0]


def test_help_has_examples(ask):
    assert "scout-core policy replay --last 1h my_policies" in ask("--help").out
    assert "SCOUT_PLUGINS_DISABLE=age scout-core policy replay --last 1d --json" in ask("replay", "--help").out


def test_the_state_directory_can_be_selected(filled, ask, tmp_path):
    moved = Path(tmp_path / "state").rename(tmp_path / "other")

    assert 0 == ask("explain", "a0", "--state-dir", str(moved)).code


GROUPED = """
from scout_core import hookimpl


@hookimpl
def trace_group(transaction, stats):
    return transaction.tags.get("customer")
"""


def test_the_group_of_a_trace_is_explained(collector, ask):
    made = trace(
        1, "Controller/shop.cart", 2.0, start=time.time() - 70, seen=SEEN, policies={"age": 2.0},
        group="errors of Controller/shop.cart", grouped_by="error_traces",
    )  # fmt: skip
    send(collector, made, trace(2, "Controller/shop.home", 1.0, start=time.time() - 70))

    assert "best of the group errors of Controller/shop.cart, chosen by error_traces" in ask("explain", "01").lines
    assert (
        "age 2.00 last trace of the group errors of Controller/shop.cart kept 1 min ago" in ask("explain", "01").lines
    )
    assert {"text": "Controller/shop.home", "by": None} == ask("explain", "02", "--json").json["group"]
    assert "group" not in ask("explain", "02").out


def test_a_replay_uses_the_groups_that_a_module_chooses(collector, ask, tmp_path):
    """Three endpoints by name, but two customers: of acme only the best has a place."""
    (tmp_path / "my_groups.py").write_text(GROUPED, encoding="utf-8")
    now = time.time()
    customers = {"a": ("acme", 3.0), "b": ("acme", 2.0), "c": ("mega", 1.0)}
    for number, (name, (customer, score)) in enumerate(customers.items()):
        customers[name] = trace(number, f"Controller/{name}", score, start=now - 70, tags={"customer": customer})
    send(collector, *customers.values())

    result = ask("replay", "my_groups", "--keep", "2", "--json", SCOUT_PLUGINS_DISABLE="age,percent,percentile")
    (period,) = result.json["periods"]
    shown = ask("replay", "my_groups", "--keep", "2", SCOUT_PLUGINS_DISABLE="age,percent,percentile").lines

    assert (0, ["Controller/a", "Controller/b"]) == (result.code, [kept["name"] for kept in period["before"]])
    assert [("Controller/a", "acme", "my_groups"), ("Controller/c", "mega", "my_groups")] == [
        (kept["name"], kept["group"], kept["grouped_by"]) for kept in period["after"]
    ]
    assert any(line.endswith("gained c, group mega") for line in shown)


def test_a_replay_knows_the_groups_in_which_traces_were_kept(collector, ask):
    """As the agent did, it keeps two traces of one name: one of the endpoint's errors."""
    now = time.time()
    send(
        collector,
        trace(1, "Controller/shop.cart", 3.0, start=now - 70),
        trace(
            2, "Controller/shop.cart", 1.0, start=now - 70, is_error=True, tags={"error": True},
            group="errors of Controller/shop.cart", grouped_by="error_traces",
        ),
        trace(3, "Controller/shop.home", 2.0, start=now - 70),
    )  # fmt: skip

    (period,) = ask("replay", "--json", "--keep", "2").json["periods"]

    assert ["Controller/shop.cart", "errors of Controller/shop.cart"] == [kept["group"] for kept in period["before"]]
    assert "errors of Controller/shop.cart" in {kept["group"] for kept in period["after"]}


def test_a_group_that_is_no_text_is_reported(filled, ask, tmp_path):
    (tmp_path / "my_groups.py").write_text(GROUPED.replace('.get("customer")', ""), encoding="utf-8")

    result = ask("replay", "my_groups", "--json")

    problem = "policy my_groups: trace_group failed 7 of 7 times and decides nothing there; the last time: "
    assert 1 == result.code
    assert f"{problem}ValueError: a trace group must be a str or None, got dict" in result.err
