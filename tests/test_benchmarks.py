"""The command that measures time runs, proves that the measured data arrived, and prints a complete table; no time is asserted."""

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
    """The smallest workload in tiny chunks: the printed text, and the JSON file."""
    folder = tmp_path_factory.mktemp("benchmark")
    options = ["--only", "flat", "import", "--processes", "2", "--rounds", "1", "--scale", "0.05", "--json", "out.json"]
    command = [sys.executable, str(COMMAND), *options]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout, json.loads((folder / "out.json").read_text(encoding="utf-8"))


def test_all_measured_data_arrived(result):
    """Two processes, each with two transactions to warm up and one in its round; each has a thousand spans and itself."""
    _, facts = result
    arrived = {
        row["variant"]: (row["transactions"], row["spans"], row["dropped"], row["errors"], row["is_complete"])
        for row in facts["arrived"]
    }

    assert {
        "bare": (0, 0, 0, 0, True),
        "bare, again": (0, 0, 0, 0, True),
        "ours": (6, 6006, 0, 0, True),
    } == arrived


def test_every_variant_is_compared_on_both_clocks_with_its_budget(result):
    _, facts = result
    figures = [(row["what"], row["variant"], row["measure"], row["unit"], row["budget"]) for row in facts["figures"]]

    assert [
        ("W3 1000 spans by hand", "bare, again", "caller", "µs/span", None),
        ("W3 1000 spans by hand", "ours", "caller", "µs/span", 1.5),
        ("W3 1000 spans by hand", "bare, again", "all threads", "µs/span", None),
        ("W3 1000 spans by hand", "ours", "all threads", "µs/span", None),
        ("W3 1000 spans by hand", "ours", "wrapped functions", "", None),
        ("import scout_core", "ours", "CPU", "ms", 60.0),
    ] == figures


def test_a_figure_is_the_difference_of_the_minima(result):
    _, facts = result
    rounds = {row["variant"]: row["rounds"]["fastest"] for row in facts["arrived"]}
    ours = next(row for row in facts["figures"] if row["variant"] == "ours")

    assert [2, 2, 2] == [len(numbers) for numbers in rounds.values()]
    assert math.isclose(ours["added"], min(rounds["ours"]) - min(rounds["bare"]))
    assert ours["verdict"] in ("ok", "in noise", "missed")


def test_the_table_shows_every_figure(result):
    printed, facts = result
    lines = [line for line in printed.splitlines() if "µs/span" in line or " ms " in line or "wrapped" in line]

    assert len(facts["figures"]) == len(lines)
    assert ["what", "variant", "measure", "unit", "bare", "with"] == printed.splitlines()[2].split()[:6]


def test_importing_the_core_loads_nothing_expensive(result):
    _, facts = result

    assert "none of the expensive ones" in facts["figures"][-1]["note"]
