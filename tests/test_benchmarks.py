"""The benchmark command runs, proves that what it measured arrived, and says all of it; how fast anything is, is no test."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).resolve().parent.parent / "benchmarks" / "run.py"


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The smallest workload, tiny: what the command prints, and what it writes."""
    folder = tmp_path_factory.mktemp("benchmark")
    options = ["--only", "flat", "import", "--processes", "2", "--rounds", "1", "--scale", "0.05", "--json", "out.json"]
    command = [sys.executable, str(COMMAND), *options]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout, json.loads((folder / "out.json").read_text(encoding="utf-8"))


def test_everything_that_was_measured_arrived(result):
    """Two processes, each with two transactions to warm up and one in its round; a thousand spans and itself each."""
    _, facts = result
    arrived = {
        row["variant"]: (row["transactions"], row["spans"], row["dropped"], row["errors"], row["is_complete"])
        for row in facts["arrived"]
    }

    assert {
        "alone": (0, 0, 0, 0, True),
        "alone, again": (0, 0, 0, 0, True),
        "ours": (6, 6006, 0, 0, True),
    } == arrived


def test_each_variant_is_compared_on_both_clocks_beside_its_budget(result):
    _, facts = result
    figures = [(row["what"], row["variant"], row["measure"], row["unit"], row["budget"]) for row in facts["figures"]]

    assert [
        ("W3 1000 spans by hand", "alone, again", "caller", "µs/span", None),
        ("W3 1000 spans by hand", "ours", "caller", "µs/span", 1.5),
        ("W3 1000 spans by hand", "alone, again", "all threads", "µs/span", None),
        ("W3 1000 spans by hand", "ours", "all threads", "µs/span", None),
        ("W3 1000 spans by hand", "ours", "wrapped functions", "", None),
        ("import scout_core", "ours", "CPU", "ms", 60.0),
    ] == figures


def test_a_figure_is_the_smallest_with_minus_the_smallest_without(result):
    _, facts = result
    rounds = {row["variant"]: row["rounds"]["fastest"] for row in facts["arrived"]}
    ours = next(row for row in facts["figures"] if row["variant"] == "ours")

    assert [2, 2, 2] == [len(numbers) for numbers in rounds.values()]
    assert math.isclose(ours["added"], min(rounds["ours"]) - min(rounds["alone"]))
    assert ours["verdict"] in ("ok", "in noise", "missed")


def test_the_table_shows_every_figure(result):
    printed, facts = result
    lines = [line for line in printed.splitlines() if "µs/span" in line or " ms " in line or "wrapped" in line]

    assert len(facts["figures"]) == len(lines)
    assert ["what", "variant", "measure", "unit", "alone", "with"] == printed.splitlines()[2].split()[:6]


def test_importing_the_core_loads_nothing_heavy(result):
    _, facts = result

    assert "none of the heavy ones" in facts["figures"][-1]["note"]
