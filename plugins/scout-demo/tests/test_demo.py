"""``scout-core demo`` in its own process."""

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

from scout_demo.result import Summary, format_summary
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


def test_json_prints_a_single_object_with_all_results(summary):
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
        of_all = {"age", "percent", "percentile", "speed", "scout_demo.checkout_first"}
        assert of_all == set(kept["policies"]) - {"error"}, "the policy error has points for failed transactions only"
        assert sum(kept["policies"].values()) == pytest.approx(kept["score"], abs=0.01)


def test_the_summary_uses_singular_and_plural():
    """Numbers are aligned, too."""
    row = {"name": "Controller/a", "count": 1, "errors": 1, "p95_ms": 2.0}
    kept = {"name": "Controller/a", "score": 1.5, "policies": {"speed": 1.5, "age": 0.0}}
    few = Summary(transactions=1, spans=1, kept=[kept], endpoints=[row], dropped=0, dashboard_url="")
    many = Summary(
        **{
            **few,
            "transactions": 1_002,
            "spans": 2,
            "kept": [],
            "endpoints": [row, {**row, "count": 1_001, "errors": 0}],
        }
    )

    assert [
        "1 transaction, 1 span, 1 trace kept, 0 dropped",
        "",
        "  Controller/a       1 request   p95     2.0 ms  1 error",
        "",
        "Best trace: Controller/a, kept because speed 1.50",
    ] == click.unstyle(format_summary(few)).splitlines()
    assert [
        "1002 transactions, 2 spans, 0 traces kept, 0 dropped",
        "",
        "  Controller/a       1 request   p95     2.0 ms  1 error",
        "  Controller/a    1001 requests  p95     2.0 ms",
    ] == click.unstyle(format_summary(many)).splitlines()


def test_without_a_terminal_an_empty_line_precedes_the_summary(tmp_path):
    with started(tmp_path, "--seconds", "1") as process:
        out, err = process.communicate(timeout=120)

    assert (0, "") == (process.returncode, out)
    assert re.search(r"Press Ctrl-C to stop\.\n\n\d+ transactions, ", err), err
    assert "\n\n\n" not in err
    assert not re.search(r"\b1 (transactions|spans|traces|requests|errors)", err), err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_a_signal_and_leaves_no_files(tmp_path, number):
    with started(tmp_path) as process:
        link = process.stderr.readline()
        for line in process.stderr:
            if "Ctrl-C" in line:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert "/login?token=" in link
    assert 0 == process.returncode
    assert "" == out
    assert "traces kept" in err
    assert [] == list(tmp_path.iterdir())


def test_a_port_in_use_is_an_error(tmp_path):
    taken = make_server("127.0.0.1", 0, supplier)
    try:
        with started(tmp_path, "--port", str(taken.server_port)) as process:
            _, err = process.communicate(timeout=60)
    finally:
        taken.server_close()

    assert 1 == process.returncode
    assert str(taken.server_port) in err
    assert "Traceback" not in err
    assert [] == list(tmp_path.iterdir())
