"""The demo as a person starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from werkzeug.serving import make_server

from scout_demo.result import Summary, told
from scout_demo.shop.supplier import supplier

COMMAND = [sys.executable, "-m", "scout_core", "demo"]
NAME = "Controller/scout_demo.shop.pages."


@contextmanager
def started(tmp_path: Path, *arguments: str):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    with started(tmp_path_factory.mktemp("demo"), "--seconds", "5", "--json") as process:
        out, err = process.communicate(timeout=120)
    assert (0, "") == (process.returncode, err)
    return json.loads(out)


def test_json_prints_one_object_with_everything_that_was_seen(summary):
    keys = {"transactions", "spans", "kept", "endpoints", "dropped", "dashboard_url"}

    assert keys == set(summary)
    assert summary["dashboard_url"].startswith("http://127.0.0.1:")
    assert 0 == summary["dropped"]
    assert sum(row["count"] for row in summary["endpoints"]) == summary["transactions"]
    assert summary["spans"] > summary["transactions"]


def test_every_page_of_the_shop_is_among_the_endpoints(summary):
    pages = {"home", "products", "product", "orders", "suggestions", "report", "checkout"}

    assert {NAME + page for page in pages} == {row["name"] for row in summary["endpoints"]}
    assert all({"name", "count", "errors", "p95_ms"} == set(row) and row["p95_ms"] > 0 for row in summary["endpoints"])


def test_the_report_is_slower_than_all_other_pages(summary):
    slowest = max(summary["endpoints"], key=lambda row: row["p95_ms"])

    assert NAME + "report" == slowest["name"]
    assert slowest["p95_ms"] > 100


def test_the_users_policy_keeps_checkouts_first(summary):
    points = {kept["name"]: kept["policies"]["scout_demo.checkout_first"] for kept in summary["kept"]}

    assert NAME + "checkout" == summary["kept"][0]["name"]
    assert 5.0 == points.pop(NAME + "checkout")
    assert {0.0} == set(points.values())


def test_the_points_of_all_policies_add_up_to_the_score(summary):
    for kept in summary["kept"]:
        assert {"age", "percent", "percentile", "speed", "scout_demo.checkout_first"} == set(kept["policies"])
        assert sum(kept["policies"].values()) == pytest.approx(kept["score"], abs=0.01)


def test_what_it_says_at_the_end_has_one_of_each_and_many():
    """One request is no "1 requests", and figures stay below each other."""
    one = {"name": "Controller/a", "count": 1, "errors": 1, "p95_ms": 2.0}
    kept = {"name": "Controller/a", "score": 1.5, "policies": {"speed": 1.5, "age": 0.0}}
    few = Summary(transactions=1, spans=1, kept=[kept], endpoints=[one], dropped=0, dashboard_url="")
    many = Summary(
        **{
            **few,
            "transactions": 1_002,
            "spans": 2,
            "kept": [],
            "endpoints": [one, {**one, "count": 1_001, "errors": 0}],
        }
    )

    assert [
        "1 transaction, 1 span, 1 trace kept, 0 dropped",
        "",
        "  Controller/a       1 request   p95     2.0 ms  1 error",
        "",
        "Best trace: Controller/a, kept because speed 1.50",
    ] == click.unstyle(told(few)).splitlines()
    assert [
        "1002 transactions, 2 spans, 0 traces kept, 0 dropped",
        "",
        "  Controller/a       1 request   p95     2.0 ms  1 error",
        "  Controller/a    1001 requests  p95     2.0 ms",
    ] == click.unstyle(told(many)).splitlines()


def test_without_a_terminal_there_is_one_empty_line_before_the_summary(tmp_path):
    with started(tmp_path, "--seconds", "1") as process:
        out, said = process.communicate(timeout=120)

    assert (0, "") == (process.returncode, out)
    assert re.search(r"Ctrl-C ends it\.\n\n\d+ transactions, ", said), said
    assert "\n\n\n" not in said
    assert not re.search(r"\b1 (transactions|spans|traces|requests|errors)", said), said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_asked_to_end_and_leaves_nothing_behind(tmp_path, number):
    with started(tmp_path) as process:
        link = process.stderr.readline()
        for line in process.stderr:
            if "Ctrl-C" in line:
                break
        process.send_signal(number)
        out, told = process.communicate(timeout=60)

    assert "/login?token=" in link
    assert 0 == process.returncode
    assert "" == out
    assert "traces kept" in told
    assert [] == list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_a_clear_error(tmp_path):
    taken = make_server("127.0.0.1", 0, supplier)
    try:
        with started(tmp_path, "--port", str(taken.server_port)) as process:
            _, told = process.communicate(timeout=60)
    finally:
        taken.server_close()

    assert 1 == process.returncode
    assert str(taken.server_port) in told
    assert "Traceback" not in told
    assert [] == list(tmp_path.iterdir())
