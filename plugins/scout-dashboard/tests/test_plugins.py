"""The Plugins page and its JSON: plugins of each process, their cost, and the next step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sample_reports
from attrs import asdict, evolve
from known_shop import send
from visitor import Visitor, visitor_of

from scout_core.measuring.report import FunctionStatus
from scout_core.problems import Problem
from scout_core.sending.protocol import PluginsAnswer, read_answer
from scout_dashboard.collector import Collector
from scout_dashboard.queries.plugins import is_fine, plugin_facts, urgency

STATUSES = {status.name: status for status in sample_reports.plugins()}


def facts_of(name: str, **changes: object) -> dict:
    return plugin_facts(asdict(evolve(STATUSES[name], **changes)))


@pytest.mark.parametrize("name", STATUSES)
def test_problems_and_the_next_step_are_those_that_the_agent_sent(name):
    sent, facts = json.loads(json.dumps(asdict(STATUSES[name]))), facts_of(name)

    assert (sent["state"], sent["problems"], sent["next_step"]) == tuple(
        json.loads(json.dumps(facts[key])) for key in ("state", "problems", "next_step")
    )


def test_the_page_shows_problems_and_the_next_step(collector):
    send(collector, sample_reports.report(end=time.time(), traces=0))

    page = visitor_of(collector).page("/plugins").text

    assert (
        "elasticsearch 10.0 is outside >=7,<10 Next step: upgrade the plugin: pip install -U scout-elasticsearch"
        in page
    )
    assert "upgrade or disable the plugin: pip install -U scout-broken, or: scout-core plugins disable broken" in page
    assert "Next step: remove redis from SCOUT_PLUGINS_DISABLE" in page


def test_the_page_shows_the_figures_of_slow_and_failing_functions_and_why_targets_are_missing(collector):
    send(collector, sample_reports.report(end=time.time(), traces=0))

    page = visitor_of(collector).page("/plugins").text

    assert (
        "on_request_start is slow: 350 µs a call (p95 of the last 100 timed calls), above hook_budget_seconds = 200 µs"
        in page
    )
    assert "off: 10 errors in a row" in page
    assert "not found: flask:Flask.gone: Flask has no attribute 'gone'" in page


def test_a_target_that_is_not_wrapped_is_shown_as_what_it_is(collector):
    report = sample_reports.report(end=time.time(), traces=0)
    problems = (
        Problem("missing-target", "flask:x", "flask:x: gone"),
        Problem("incomplete-group", "flask:y", "flask:y: its group 'views' is incomplete without flask:x"),
        Problem("unsupported-target", "flask:z", "flask:z: this plugin has already wrapped it"),
        Problem("a-later-kind", "flask:w", "flask:w: why"),
    )
    send(
        collector,
        evolve(report, plugins=(evolve(STATUSES["flask"], not_found=("flask:x",), target_problems=problems),)),
    )

    page = visitor_of(collector).page("/plugins").text

    assert "not found: flask:x: gone left out: flask:y: its group 'views' is incomplete without flask:x" in page
    assert "not wrapped: flask:z: this plugin has already wrapped it not wrapped: flask:w: why" in page


def test_texts_of_an_agent_that_sends_no_figures_are_shown(collector):
    report = sample_reports.report(end=time.time(), traces=0)
    function = FunctionStatus(place="on_span", calls=1, errors=0, p50=1.0, p95=1.0, slow="late again", off="too late")
    older = evolve(STATUSES["flask"], not_found=("flask:x: gone",), target_problems=(), functions=(function,))
    send(collector, evolve(report, plugins=(older,)))

    page = visitor_of(collector).page("/plugins").text

    assert "on_span is slow: late again" in page
    assert "off: too late" in page
    assert "not found: flask:x: gone" in page


def test_the_reason_of_an_agent_that_sends_no_problems_is_shown(collector):
    report = sample_reports.report(end=time.time(), traces=0)
    plugins = tuple(evolve(status, problems=(), next_step=None) for status in report.plugins)
    send(collector, evolve(report, plugins=plugins))

    page = visitor_of(collector).page("/plugins").text

    assert "scout_broken cannot be imported: ImportError: No module named 'nothing'" in page
    assert "Next step" not in page


def test_a_state_that_only_another_version_has_needs_attention():
    assert (True, False) == (is_fine("waiting"), is_fine("retired"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flask", True), ("jinja2", False), ("zones", True), ("celery", False), ("redis", False), ("elasticsearch", True),
        ("broken", True), ("team-policy", True),
    ],
)  # fmt: skip
def test_plugins_that_fail_miss_a_target_or_are_slow_need_attention(name, expected):
    assert expected == facts_of(name)["needs_attention"]


@pytest.mark.parametrize(("is_recovered", "errors", "expected"), [(False, 3, True), (True, 3, False), (True, 4, True)])
def test_an_exporter_that_works_again_needs_no_attention(is_recovered, errors, expected):
    function = {"place": "file.export", "calls": 9, "errors": 3, "p50": None, "p95": None, "is_recovered": is_recovered}
    status = {"state": "active", "errors": errors, "not_found": [], "functions": [function]}

    assert expected == plugin_facts(status)["needs_attention"]


def test_times_of_functions_have_nanosecond_precision_and_the_slowest_is_repeated():
    facts = facts_of("team-policy")

    none = {"slow": "", "off": "", "too_slow": None, "too_many_errors": None, "is_recovered": False, "unfollowed": ()}
    off = {"off": "too-many-errors", "too_many_errors": {"errors": 10, "calls": 10}}
    keep = {"place": "on_keep", "calls": 12, "errors": 0, "p50_ms": 0.004, "p95_ms": 0.009, **none}
    score = {"place": "score_transaction", "calls": 100, "errors": 10, "p50_ms": 0.006, "p95_ms": 0.008}
    assert [keep, {**score, **none, **off}] == facts["functions"]
    assert keep == facts["slowest"]
    assert [("/srv/shop/plans.py", 8, "plan_of"), ("/srv/shop/team_policy.py", 22, "score_transaction")] == [
        (frame["file"], frame["line"], frame["function"]) for frame in facts["traceback"]
    ]


def test_a_status_without_times_and_tracebacks_is_shown(collector):
    older = {key: value for key, value in asdict(STATUSES["flask"]).items() if key not in ("functions", "traceback")}
    bare = tuple(evolve(status, functions=(), traceback=()) for status in STATUSES.values())
    send(collector, evolve(sample_reports.report(end=time.time(), traces=0), plugins=bare))

    page = visitor_of(collector).page("/plugins")

    assert ([], [], None) == tuple(plugin_facts(older)[key] for key in ("functions", "traceback", "slowest"))
    assert [] == page.problems
    assert "4 plugins need attention" in page.text


def test_the_command_line_can_read_the_answer(collector):
    send(collector, sample_reports.report(end=time.time(), traces=0))

    facts = visitor_of(collector).facts("/plugins")
    (process,) = read_answer(facts, PluginsAnswer).processes

    assert {name: (status.state, status.calls) for name, status in STATUSES.items()} == {
        plugin.name: (plugin.state, plugin.calls) for plugin in process.plugins
    }
    assert facts["processes"][0]["app"] == process.app


@pytest.fixture
def visitor(collector: Collector) -> Visitor:
    return visitor_of(collector)


def test_the_latest_process_comes_first_and_in_it_plugins_that_need_attention(collector, visitor):
    now = time.time()
    for number, instance in enumerate(("aa00aa00aa00aa00", "bb00bb00bb00bb00", "cc00cc00cc00cc00"), 1):
        report = sample_reports.report(end=now - number, number=number, instance=instance, traces=0)
        process = evolve(report.process, hostname=f"web-{number}", pid=number, started=now - 100 + (number % 3) * 10)
        send(collector, evolve(report, process=process))

    processes = visitor.facts("/plugins")["processes"]
    text = visitor.page("/plugins").text

    assert [("web-2", 2), ("web-1", 1), ("web-3", 3)] == [(process["host"], process["pid"]) for process in processes]
    assert text.index("web-2 · pid 2") < text.index("web-1 · pid 1") < text.index("web-3 · pid 3")
    assert ["broken", "elasticsearch", "jinja2", "celery"] == [
        plugin["name"]
        for plugin in processes[0]["plugins"]
        if plugin["name"] in ("jinja2", "celery", "broken", "elasticsearch")
    ]


def test_the_worst_state_comes_first_and_the_best_of_those_that_need_nothing():
    attention = [
        {"state": state, "needs_attention": True}
        for state in ("unheard-of", "failed", "quarantined", "skipped", "waiting", "active")
    ]
    fine = [{"state": state, "needs_attention": False} for state in ("active", "waiting", "disabled")]

    assert attention + fine == sorted([*reversed(fine), *reversed(attention)], key=urgency)


def test_the_json_has_every_fact_of_a_status(collector, visitor):
    send(collector, sample_reports.report(end=time.time(), traces=0))

    (process,) = visitor.facts("/plugins")["processes"]

    added = {"slowest", "needs_attention"}
    assert len(STATUSES) == len(process["plugins"])
    for plugin in process["plugins"]:
        status = json.loads(json.dumps(asdict(STATUSES[plugin["name"]])))
        same = set(status) - {"functions", "traceback"}
        assert set(status) | added == set(plugin)
        assert {key: status[key] for key in same} == {key: plugin[key] for key in same}


APP = """
import scout_core
agent = scout_core.start(name="Shop", plugins=["spoils", "counts"])
for number in range(200):
    with scout_core.transaction("Controller/shop.home"):
        with scout_core.span("SQL/Query"):
            pass
scout_core.stop()
"""


def test_a_real_process_shows_what_its_plugins_did(collector, visitor, tmp_path: Path):
    """One plugin raises in every call; one is counted and timed."""
    head = "from scout_core import hookimpl\n\n\n@hookimpl\n"
    (tmp_path / "spoils.py").write_text(f"{head}def score_transaction(transaction):\n    return plan_of(transaction)\n\n\n"
        "def plan_of(transaction):\n    return transaction.tags['plan']\n")  # fmt: skip
    (tmp_path / "counts.py").write_text(f"{head}def on_span(span):\n    pass\n")
    plain = {key: value for key, value in os.environ.items() if not key.startswith("SCOUT_")}
    subprocess.run(
        [sys.executable, "-c", APP], check=True, cwd=tmp_path, env={**plain, "SCOUT_STATE_DIR": str(tmp_path / "state")}
    )

    (process,) = visitor.facts("/plugins")["processes"]
    plugins = {plugin["name"]: plugin for plugin in process["plugins"]}
    spoils, counts = plugins["spoils"], plugins["counts"]
    page = visitor.page("/plugins").text

    assert ("quarantined", 10, True) == (spoils["state"], spoils["errors"], spoils["needs_attention"])
    assert "KeyError" in spoils["last_error"]
    assert {"plan_of", "score_transaction"} == {frame["function"] for frame in spoils["traceback"]}
    assert ("active", 200, 0, False) == tuple(counts[key] for key in ("state", "calls", "errors", "needs_attention"))
    (function,) = counts["functions"]
    assert ("on_span", 200) == (function["place"], function["calls"])
    assert 0 < function["p50_ms"] <= function["p95_ms"]
    assert spoils["last_error"] in page
    assert {"age", "percent", "percentile", "speed"} < set(plugins)
