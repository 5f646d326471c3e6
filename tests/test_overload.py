"""An application that is faster than the agent's thread: every transaction is counted and timed under its name."""

from __future__ import annotations

import threading
import tracemalloc
from threading import Barrier, Event, Thread
from time import sleep

import pytest

from scout_core import span, transaction
from scout_core.recording.limits import overflow
from scout_core.testing import recording
from tests.workbench import Keeper, eventually, exporting, plugin, running

NAMES = tuple(f"Controller/shop.page{number}" for number in range(7))


def produce(count: int, spans: int = 0) -> None:
    """Record so many transactions of all names; every tenth of a name has failed."""
    for number in range(count):
        with transaction(NAMES[number % len(NAMES)]) as web:
            for _ in range(spans):
                with span("SQL/Query", statement="select 1"):
                    pass
            if number // len(NAMES) % 10 == 0:
                web.tag("error", True)


def expected(count: int, times: int = 1) -> dict[str, tuple[int, int, int]]:
    """What ``produce(count)`` must be counted as."""
    sums = {name: [0, 0] for name in NAMES}
    for number in range(count):
        sums[NAMES[number % len(NAMES)]][0] += times
        sums[NAMES[number % len(NAMES)]][1] += times * (number // len(NAMES) % 10 == 0)
    return {name: (total, errors, total) for name, (total, errors) in sums.items()}


def sums_of(*reports) -> dict[str, tuple[int, int, int]]:
    """Name to its count, errors and the count of its histogram."""
    found: dict[str, tuple[int, int, int]] = {}
    for report in reports:
        for metrics in report.transactions:
            count, errors, in_histogram = found.get(metrics.name, (0, 0, 0))
            added = count + metrics.count, errors + metrics.errors, in_histogram + metrics.durations.count
            found[metrics.name] = added
    return found


def lost(agent) -> dict[str, int]:
    """Reasons and counts of what was dropped before it reached a report."""
    return {reason: count for reason, count in agent.counters().dropped.items() if reason != "no exporter"}


def test_a_burst_that_does_not_fit_into_the_inbox_is_counted_and_timed_by_name():
    with recording(max_queue=100) as scout:
        produce(7_000, spans=3)
        report = scout.report()
        counters = scout.agent.counters()

    assert expected(7_000) == sums_of(report)
    assert (7_000, {}, 6_900) == (counters.finished, lost(scout.agent), counters.figures_only)
    assert 300 == counters.spans, "those of the transactions that were examined"
    for metrics in report.transactions:
        assert metrics.count == metrics.kinds["Controller"].count
        assert metrics.total == pytest.approx(metrics.kinds["Controller"].total)
        assert metrics.total == pytest.approx(sum(kind.exclusive for kind in metrics.kinds.values()))


def test_statistics_of_policies_include_transactions_that_were_only_counted():
    with recording(max_queue=10) as scout:
        for _ in range(50):
            with transaction("Job/mail.send"):
                pass
        scout.report()
        with transaction("Job/mail.send"):
            pass
        (trace,) = scout.traces()

    assert 51 == trace.seen["count"]


def test_beyond_that_too_they_are_dropped_with_a_reason(monkeypatch):
    monkeypatch.setattr(overflow, "MOST_BRIEFS", 50)
    with recording(max_queue=10) as scout:
        produce(100)
        report = scout.report()
        counters = scout.agent.counters()

    assert 60 == sum(count for count, _, _ in sums_of(report).values())
    assert (100, {"inbox full": 40}, 50) == (counters.finished, lost(scout.agent), counters.figures_only)


def test_a_transaction_is_ignored_whether_it_is_examined_or_only_counted():
    with recording(max_queue=5, ignore_jobs=("health",)) as scout:
        for name in ("Job/mail.send", "Job/health.check") * 20:
            with transaction(name):
                pass
        report = scout.report()
        counters = scout.agent.counters()

    assert {"Job/mail.send": (20, 0, 20)} == sums_of(report)
    assert (40, {"ignored": 20}, 17) == (counters.finished, lost(scout.agent), counters.figures_only)


def test_those_ignored_or_sampled_out_at_their_start_are_counted_as_such_though_hooks_want_them():
    with recording(max_queue=3, sample_rate=0) as scout:
        scout.agent.tracer.wants_ignored = True
        for _ in range(10):
            with transaction("Job/mail.send"):
                pass
        for _ in range(5):
            with transaction("Controller/home") as web:
                web.ignore()
        counters = scout.agent.counters()
        assert counters.finished == counters.queued + sum(counters.dropped.values()) == 15
        scout.report()
        counters = scout.agent.counters()

    assert (15, 0) == (counters.finished, counters.queued)
    assert 15 == counters.dropped["sampled"] + counters.dropped.get("ignored", 0)


def test_unreadable_times_cost_only_their_transaction():
    with recording(max_queue=1) as scout:
        for stop_ns in (None, "soon", object()):
            with transaction("Job/mail.send"):
                pass
            scout.agent.tracer.overflow.append(("Job/mail.send", 1, stop_ns, False, None))
        sums = sums_of(scout.report())
        counters = scout.agent.counters()

    assert {"Job/mail.send": (3, 0, 3)} == sums
    assert {"internal error": 3} == lost(scout.agent)
    assert counters.finished == counters.exported + counters.queued + sum(counters.dropped.values())


def test_names_beyond_the_limit_are_counted_under_other():
    with recording(max_queue=1, max_names=3) as scout:
        for number in range(40):
            with transaction(f"Job/number.{number % 20}"):
                pass
        report = scout.report()
        merged = scout.agent.counters().names_merged

    counted = {name: count for name, (count, _, _) in sums_of(report).items()}
    assert 40 == sum(counted.values())
    assert 40 - merged == sum(count for name, count in counted.items() if name != "Job/other")
    assert merged == counted["Job/other"] > 0


def test_what_is_only_counted_keeps_neither_spans_nor_tags_alive():
    """40 transactions with 100 spans are 1 MB; their names and times are 10 KB."""
    with recording(max_queue=1) as scout:
        produce(8, spans=100)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            produce(40, spans=100)
            held = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert 47 == len(scout.agent.tracer.overflow)

    assert held < 400_000


@pytest.mark.parametrize("seconds", [0.002, 0.02])
def test_figures_are_exact_beside_a_policy_that_cannot_keep_pace(seconds):
    """Examining everything would take 20 or 200 seconds."""
    keeper = Keeper()
    slow = plugin("slow_policy", score_transaction=lambda: sleep(seconds))
    settings = {"max_queue": 50, "report_period": 0.05, "shutdown_timeout_seconds": 20}
    with running(slow, exporting(keeper), **settings) as agent:
        threads = [threading.Thread(target=produce, args=(3_500,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: not agent.tracer.overflow)
        agent.stop(20)
        counters = agent.counters("keeper")

    assert {} == counters.dropped
    assert expected(3_500, times=3) == sums_of(*keeper.reports)
    assert 0 < counters.figures_only < 10_500
    assert 10_500 == counters.finished == counters.exported


def test_the_rest_of_the_inbox_is_counted_when_the_end_leaves_no_time_to_examine_it():
    keeper = Keeper()
    slow = plugin("slow_policy", score_transaction=lambda: sleep(0.02))
    with running(slow, exporting(keeper), report_period=60) as agent:
        produce(2_000)
        agent.stop(5)
        counters = agent.counters("keeper")

    assert {} == counters.dropped
    assert expected(2_000) == sums_of(*keeper.reports)


def test_a_transaction_that_is_open_at_stop_has_its_own_reason():
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        produce(1)
        with transaction("Job/long"):
            agent.stop(5)
        counters = agent.counters("keeper")

    assert {"open when the agent stopped": 1} == counters.dropped
    assert (2, 1) == (counters.finished, counters.exported)
    assert (2, {"open when the agent stopped": 1}) == last_of(keeper)


def last_of(keeper):
    (report,) = keeper.reports
    counters = report.counters["keeper"]
    assert counters.finished == counters.queued + sum(counters.dropped.values())
    return counters.finished, counters.dropped


def test_the_last_report_counts_what_is_open_on_every_thread():
    keeper, opened, may_end = Keeper(), Barrier(4), Event()

    def job():
        with transaction("Job/long"), span("SQL/Query"):
            opened.wait()
            may_end.wait()

    threads = [Thread(target=job) for _ in range(3)]
    with running(exporting(keeper)) as agent:
        for thread in threads:
            thread.start()
        opened.wait()
        with transaction("Job/a") as kept:
            kept.keep_open()
        begun = transaction("Job/b").begin()
        agent.stop(5)
        may_end.set()
        for thread in threads:
            thread.join()
        kept.end()
        begun.end()
        counters = agent.counters("keeper")

    assert (5, {"open when the agent stopped": 5}) == last_of(keeper)
    assert (5, {"open when the agent stopped": 5}) == (counters.finished, counters.dropped)


def test_the_last_report_counts_spans_that_are_open_after_their_transaction():
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        with transaction("Job/a"), span("SQL/Query") as query:
            query.keep_open()
        begun = []
        with transaction("Job/b"):
            begun.append(span("SQL/Query").begin())
        with transaction("Job/c") as job, span("SQL/Query") as inner:  # lost with its transaction
            job.keep_open()
            inner.keep_open()
        agent.stop(5)

    (report,) = keeper.reports
    counters = report.counters["keeper"]
    assert (1, 1) == (
        counters.spans_open_at_stop,
        counters.late_spans,
    )  # the second one was current at the end of its transaction
    assert {"open when the agent stopped": 1} == counters.dropped
    assert query is not begun[0]


def test_nothing_is_open_in_a_report_before_the_last():
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        produce(1)
        with transaction("Job/long"):
            agent.flush()

    assert [{}, {}] == [report.counters["keeper"].dropped for report in keeper.reports]
