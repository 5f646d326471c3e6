"""The Apdex counts failures as frustrated, and its threshold can be set."""

from __future__ import annotations

import time
from pathlib import Path

import known_shop
import pytest
import sample_reports
from attrs import evolve
from sample_reports import report
from test_up import up
from visitor import visitor_of

from scout_core.measuring.histogram import Histogram
from scout_dashboard.collector import Collector
from scout_dashboard.queries.apdex import Thresholds, apdex


def durations(*seconds: float) -> Histogram:
    histogram = Histogram()
    for value in seconds:
        histogram.add(value)
    return histogram


@pytest.mark.parametrize(
    ("seconds", "errors", "threshold", "expected"),
    [
        ([], 0, 0.5, None),
        ([0.1] * 10, 0, 0.5, 1.0),
        ([0.1] * 10, 10, 0.5, 0.0),
        ([0.1] * 10, 5, 0.5, 0.5),
        ([1.0] * 10, 0, 0.5, 0.5),
        ([1.0] * 10, 10, 0.5, 0.0),
        ([9.0] * 10, 0, 0.5, 0.0),
        ([0.1] * 5 + [1.0] * 5, 2, 0.5, 0.6),
        ([1.0] * 10, 0, 1.5, 1.0),
        ([0.1] * 10, 0, 0.05, 0.5),
        ([0.1] * 10, 12, 0.5, 0.0),  # more errors than transactions
    ],
)
def test_failures_frustrate(seconds, errors, threshold, expected):
    assert expected == apdex(durations(*seconds), errors, seconds=threshold)


def send(collector: Collector) -> None:
    base = report(end=time.time(), traces=0)
    fast = known_shop.metrics("Controller/fast", 10, 0.3)
    failing = known_shop.metrics("Controller/failing", 10, 0.001, errors=10)
    known_shop.send(collector, evolve(base, transactions=(fast, failing)))


def test_an_endpoint_that_always_fails_has_an_apdex_of_zero(collector):
    send(collector)
    visitor = visitor_of(collector)

    assert 0.0 == visitor.facts("/endpoint?name=Controller/failing")["totals"]["apdex"]
    assert "Apdex 0.00 of 1.00, up to 500 ms" in visitor.page("/endpoint?name=Controller/failing").text
    assert 0.5 == visitor.facts("/overview")["totals"]["apdex"]


def test_the_threshold_of_an_endpoint_takes_precedence(tmp_path: Path) -> None:
    thresholds = Thresholds(0.2, {"Controller/fast": 0.4})
    collector = Collector(state_dir=tmp_path / "state", port=0, apdex=thresholds)
    try:
        send(collector)
        visitor = visitor_of(collector)
        fast, overview = visitor.facts("/endpoint?name=Controller/fast"), visitor.facts("/overview")
    finally:
        collector.stop()

    assert (1.0, 400.0) == (fast["totals"]["apdex"], fast["totals"]["apdex_ms"])
    assert (0.375, 200.0) == (overview["totals"]["apdex"], overview["totals"]["apdex_ms"])


def test_the_thresholds_are_options(tmp_path: Path) -> None:
    env = {"SCOUT_DASHBOARD_APDEX_SECONDS": "0.25", "SCOUT_DASHBOARD_APDEX_SECONDS_BY_NAME": "Controller/x:2"}
    with up(tmp_path, env=env) as running:
        named = evolve(report(end=time.time(), traces=0), transactions=(known_shop.metrics("Controller/x", 1, 0.1),))
        assert 202 == sample_reports.send(running.address.url, running.address.token, named)[0]
        found = [running.ask(path)["totals"]["apdex_ms"] for path in ("overview", "endpoint?name=Controller/x")]

    assert [250.0, 2_000.0] == found
