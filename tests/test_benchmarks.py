"""The command that measures time runs, proves that the measured data arrived, and prints a complete table; no time is asserted."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

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


@pytest.fixture
def bench(monkeypatch):
    """Let the modules of the benchmarks be imported."""
    monkeypatch.syspath_prepend(str(COMMAND.parent))


ENVELOPE = b"""{"event_id": "1"}
{"type": "transaction", "length": 3}
{"type": "transaction", "spans": [{"op": "db"}, {"op": "db"}]}
{"type": "sessions"}
{"attrs": {}}
"""
EVENTS = b'{"metadata": {}}\n{"transaction": {}}\n{"span": {}}\n{"span": {}}\n{"metricset": {}}\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_transactions_and_spans_of_peers_are_counted(bench, pack):
    from bench import sink

    expected = sink.Counted(transactions=1, spans=3)

    assert [expected, expected] == [sink.decode_sentry(pack(ENVELOPE)), sink.decode_elastic(pack(EVENTS))]


def test_a_body_in_chunks_is_read_to_its_end(bench):
    from bench.sink import Sink, decode_elastic, http_server

    sink = Sink(decode_elastic)
    server = http_server(sink)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
        for body in (iter([EVENTS[:20], EVENTS[20:]]), EVENTS):
            connection.request("POST", "/intake", body=body)
            assert b"accepted" in connection.getresponse().read()
    finally:
        connection.close()
        server.shutdown()
        server.server_close()
        thread.join()

    answer = sink.answer()
    assert (2, 6, 0) == (answer["transactions"], answer["spans"], answer["errors"])


def test_every_peer_has_an_agent_and_a_decoder_and_the_help_names_it(bench):
    from bench.environments import FACTS
    from bench.sink import DECODERS

    command = [sys.executable, str(COMMAND), "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    for name, peer in FACTS["peers"].items():
        assert (COMMAND.parent / "bench" / "agents" / f"{peer['agent']}.py").exists()
        assert peer["agent"] in DECODERS
        assert peer.get("silent") or {"request", "hello", "flat", "nested"} == {*peer["spans"]} - {
            "django",
            "starlette",
        }
        assert name in "".join(shown.split())
