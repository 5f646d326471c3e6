"""The Health page and its JSON: every transaction is accounted for, including those of finished processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import known_shop
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_reports import report
from visitor import visitor_of

from scout_core.measuring.report import Counters, Report
from scout_dashboard.collector import Collector
from scout_dashboard.queries import Queries
from scout_dashboard.store import Store
from scout_dashboard.tally import Tally

CRON = """
import scout_core

scout_core.start(name="cron")
for _ in range(20):
    with scout_core.transaction("Job/tidy"):
        pass
"""


def sent(number: int, *, count: int, end: float, exporter: str = "collector", **counters: object) -> Report:
    """Return a report of ``count`` jobs with the given counters of its process."""
    base = report(end=end, number=number, traces=0)
    jobs = (known_shop.metrics("Job/tidy", count, 0.01),) if count else ()
    return evolve(base, transactions=jobs, counters={exporter: Counters(**{"dropped": {}, **counters})})  # type: ignore[arg-type]


def books(collector: Collector) -> tuple[int, int, int, int]:
    """Return finished, exported, queued and dropped of the only process, after checking that the totals are equal."""
    health = collector.queries.health()
    (process,) = health["processes"]
    (counters,) = process["counters"].values()
    assert [counters[key] for key in ("finished", "exported", "queued", "dropped")] == [
        health["totals"][key] for key in ("finished", "exported", "queued", "dropped")
    ]
    return counters["finished"], counters["exported"], counters["queued"], sum(counters["dropped"].values())


def test_transactions_of_a_finished_process_are_exported(collector: Collector) -> None:
    environment = {**os.environ, "SCOUT_STATE_DIR": str(collector.state_dir)}
    subprocess.run([sys.executable, "-c", CRON], env=environment, check=True, timeout=60)

    assert (20, 20, 0, 0) == books(collector)
    assert "20 finished = 20 exported + 0 queued + 0 dropped adds up" in visitor_of(collector).page("/health").text


def test_queued_transactions_are_exported_once_they_arrive(collector: Collector) -> None:
    now = time.time()
    for number in (1, 2):
        known_shop.send(collector, sent(number, count=100, end=now + number, finished=900, exported=0, queued=900))

    assert (900, 200, 700, 0) == books(collector)

    last = sent(3, count=700, end=now + 3, finished=900, exported=200, queued=700)
    for _ in range(3):
        known_shop.send(collector, last)

    assert (900, 900, 0, 0) == books(collector)


def test_a_late_report_is_counted_and_does_not_overwrite_newer_state(collector: Collector) -> None:
    now = time.time()
    known_shop.send(collector, sent(2, count=5, end=now, finished=12, exported=0, queued=10, dropped={"sampled": 2}))
    known_shop.send(collector, sent(1, count=4, end=now - 86_400, finished=4, exported=0, queued=4))

    assert (12, 9, 1, 2) == books(collector)


def test_exports_to_an_earlier_collector_still_count(collector: Collector) -> None:
    known_shop.send(collector, sent(9, count=30, end=time.time(), finished=150, exported=100, queued=50))

    assert (150, 130, 20, 0) == books(collector)


def test_dropped_transactions_that_arrive_later_stay_dropped(collector: Collector) -> None:
    now = time.time()
    known_shop.send(collector, sent(1, count=40, end=now, finished=40, exported=0, queued=40))
    dropped = {"not sent before the process ended": 40}
    known_shop.send(collector, sent(2, count=0, end=now + 1, finished=40, exported=0, queued=0, dropped=dropped))

    assert (40, 0, 0, 40) == books(collector)


def test_counters_of_other_exporters_are_unchanged(collector: Collector) -> None:
    other = sent(1, count=7, end=time.time(), exporter="otlp", finished=9, exported=1, queued=8)
    known_shop.send(collector, other)

    assert (9, 1, 8, 0) == books(collector)


def test_counters_that_do_not_add_up_are_unchanged(collector: Collector) -> None:
    known_shop.send(collector, sent(1, count=7, end=time.time(), finished=7, exported=9, queued=0))

    assert (7, 9, 0, 0) == books(collector)
    assert "off by -2" in visitor_of(collector).page("/health").text


counts = st.integers(0, 50)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(counts, counts, counts, st.booleans()), min_size=1, max_size=8))
def test_the_sum_is_exact_and_never_negative(tmp_path_factory: pytest.TempPathFactory, periods: list) -> None:
    """Each period is delivered or not, with some queued and some dropped transactions."""
    now, finished, exported, dropped = time.time(), 0, 0, 0
    store = Store(tmp_path_factory.mktemp("any") / "data")
    for number, (count, waiting, lost, arrives) in enumerate(periods, start=1):
        finished, dropped = finished + count + waiting + lost, dropped + lost
        made = sent(
            number, count=count, end=now + number, finished=finished, exported=exported,
            queued=finished - exported - dropped, dropped={"sampled": dropped},
        )  # fmt: skip
        if arrives or number == len(periods):
            store.apply(made, now=now)
            exported += count
    counters = Queries(store, Tally()).health()["processes"][0]["counters"]["collector"]
    store.close()

    assert (finished, exported, dropped) == (counters["finished"], counters["exported"], counters["dropped"]["sampled"])
    assert finished - exported - dropped == counters["queued"] >= 0


def test_every_nonzero_counter_is_shown(collector: Collector) -> None:
    more = {
        "figures_only": 10,
        "spans": 1,
        "spans_merged": 2,
        "late_spans": 3,
        "spans_never_ended": 13,
        "spans_open_at_stop": 17,
        "unfollowed_results": 14,
        "in_collection": 7,
        "in_hooks": 8,
        "invalid_values": 9,
        "headers_unsent": 15,
        "queue_times_refused": 13,
        "errors_ignored": 19,
        "values_cut": 11,
        "names_merged": 4,
        "errors_merged": 20,
        "operations_merged": 21,
        "tags_dropped": 5,
        "groups_left_out": 12,
        "traces_lost": 6,
        "logging_failures": 12,
    }
    known_shop.send(collector, sent(1, count=1, end=time.time(), finished=1, exported=0, queued=1, **more))
    counters = visitor_of(collector).facts("/health")["processes"][0]["counters"]["collector"]

    assert more == {key: counters[key] for key in more}
    assert (
        "1 span · 2 merged beyond the limit of a trace · 3 ended after their transaction · 13 begun or kept open, and never ended · 17 open when the agent stopped · 14 kinds of results of decorated functions not followed"
        " · 7 started by the garbage collector, not recorded (Python before 3.12) · 8 begun by hooks, not recorded"
        " · 9 invalid values not used · 15 calls sent without trace headers · 19 exceptions ignored as configured · 13 queue times not used, because clocks differ · 11 large values shortened · 10 transactions only counted and timed because the inbox was full"
        " · 4 counted as “other” because of too many names · 20 errors counted as “other” because of too many groups · 21 spans counted as the “other” of their kind because of too many operations · 5 tags dropped · 12 trace groups without a place, summed over all periods · 6 kept traces lost to an error"
        " · 12 log messages lost, because the application’s logging raised"
    ) in visitor_of(collector).page("/health").text


def test_a_report_without_figures_updates_the_state_of_the_process(collector: Collector) -> None:
    """An agent whose thread hangs in a hook sends such reports, which cover no time."""
    now = time.time()
    first = sent(1, count=3, end=now, finished=3, exported=0, queued=3)
    (plugin, *others) = first.plugins
    hangs = evolve(plugin, state="quarantined", reason="on_report has not returned for 12 s")
    known_shop.send(collector, first)
    state = sent(2, count=0, end=now + 1, finished=5, exported=3, queued=2)
    state = evolve(state, id=f"{first.process.instance}-state-1", start=now + 1, plugins=(hangs, *others))
    known_shop.send(collector, state)

    assert (5, 3, 2, 0) == books(collector)
    assert "on_report has not returned for 12 s" in visitor_of(collector).page("/plugins").text


def test_gauges_are_shown_for_each_process_and_summed_over_those_that_run(collector: Collector) -> None:
    now = time.time()
    for instance, end, ends in (
        ("a", now, False),
        ("b", now, False),
        ("silent", now - 3_600, False),
        ("ended", now, True),
    ):
        for number in (1, 2):
            base = report(end=end - 60 * (2 - number), number=number, traces=0, instance=instance)
            known_shop.send(collector, evolve(base, period=60.0, is_last=ends and number == 2))

    facts = collector.queries.health()
    assert [pytest.approx(0.125)] * 4 == [process["processor"] for process in facts["processes"]]
    (shop,) = facts["usage"]
    assert (2, pytest.approx(0.25)) == (shop["processes"], shop["processor"])
    assert (18, 8) == (shop["gauges"]["process"]["threads"], shop["gauges"]["pool"]["idle_connections"])
    text = visitor_of(collector).page("/health").text
    assert "Memory 82.4 MB Processor 12.5 % of one core; 16.5 s in all Threads 9" in text
    assert "Garbage collections 236 3 full pool: idle connections 4 pool: waited 250 ms" in text
    assert "sum of 2 running processes Memory 164.8 MB Processor 25.0 % of one core; 33.0 s in all Threads 18" in text


def test_a_constant_load_is_the_same_share_of_a_core_in_every_report(collector: Collector) -> None:
    """Scout's agent divides the processor time since its start by the seconds since its last report."""
    now = time.time()
    shares = []
    for number in range(1, 6):
        known_shop.send(collector, evolve(report(end=now - 60 * (5 - number), number=number, traces=0), period=60.0))
        (process,) = collector.queries.health()["processes"]
        shares.append(process["processor"])

    assert [None, *[pytest.approx(0.125)] * 4] == shares


def test_gauges_of_an_older_agent_and_of_a_first_report(collector: Collector) -> None:
    now = time.time()
    known_shop.send(collector, evolve(report(end=now, traces=0), gauges={}))
    known_shop.send(collector, report(end=now, number=1, traces=0, instance="d" * 16))

    first, old = collector.queries.health()["processes"]
    if old["instance"] == "d" * 16:
        first, old = old, first
    assert ({}, None) == (old["gauges"], old["processor"])
    assert (9.0, None) == (first["gauges"]["process"]["threads"], first["processor"])
    assert "Processor – of one core; 9.00 s in all" in visitor_of(collector).page("/health").text


def test_the_gauges_of_a_real_process(collector: Collector) -> None:
    environment = {**os.environ, "SCOUT_STATE_DIR": str(collector.state_dir)}
    subprocess.run([sys.executable, "-c", CRON], env=environment, check=True, timeout=60)

    (process,) = collector.queries.health()["processes"]
    measured = process["gauges"]["process"]
    assert measured["threads"] >= 2
    assert 5e6 < measured["rss_bytes"] < 1e9
    assert 0 < measured["cpu_seconds"] < 60
