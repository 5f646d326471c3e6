"""The benchmark of the collector runs and prints complete tables; no time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).resolve().parents[3] / "benchmarks" / "collector.py"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The smallest load, and a store of one day: the printed text, and the JSON file."""
    folder = tmp_path_factory.mktemp("benchmark")
    options = [
        *("--load", "2x12", "--seconds", "1", "--search", "0"),
        *("--days", "1", "--names", "20", "--traces", "300", "--requests", "2", "--ranges", "1h", "7d"),
        *("--cache", "cache", "--json", "out.json"),
    ]
    command = [sys.executable, str(COMMAND), *options]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout, json.loads((folder / "out.json").read_text(encoding="utf-8"))


def test_every_report_that_was_due_is_acknowledged(result):
    _, facts = result

    assert [(2, 12, 2, {})] == [
        (load["processes"], load["names"], load["sent"], load["refused"]) for load in facts["intake"]
    ]


def test_every_page_is_read_quiet_and_while_reports_arrive(result):
    _, facts = result
    states = {"quiet", "one report a second"}
    pages = ("/", "/endpoints", "/jobs", "/errors", "/operations", "/operation", "/endpoint")
    without_range = [("/trace/ID", ""), ("/plugins", ""), ("/health", ""), ("/api/v1/traces?limit=1000", "7d")]

    assert [
        *((page, of, of == "7d", states) for page in pages for of in ("1h", "7d")),
        *((page, of, True, states) for page, of in without_range),
    ] == [
        (row["page"], row["range"], row["first"] is not None, row["p50"].keys() & row["p95"].keys())
        for row in facts["pages"]
    ]


def test_the_tables_have_a_line_for_each_load_and_page(result):
    text, facts = result

    assert len(facts["intake"]) + len(facts["pages"]) == sum(
        line.rstrip().endswith(("ok", "missed")) for line in text.splitlines()
    )
