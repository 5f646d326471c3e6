"""A store as it is after weeks: many endpoints, every hour of many days. Pages are read, days expire, and reports keep arriving."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from attrs import evolve
from sample_reports import many_endpoints, many_jobs, report, send

from scout_core.sending import wire
from scout_dashboard.collector import Collector
from scout_dashboard.queries import Queries
from scout_dashboard.ranges import NAMED, named_range
from scout_dashboard.store import Store, files
from scout_dashboard.tally import Tally

IS_FULL = os.environ.get("TEST_SIZE") == "full"
DAYS, PER_DAY, ENDPOINTS, JOBS = (30, 24, 500, 100) if IS_FULL else (4, 3, 60, 12)
NOW = float(int(time.time()) // 86_400 * 86_400 + 43_200 + 90)  # a minute and a half after noon


def seconds(function: Callable[[], object]) -> float:
    started = time.thread_time()
    function()
    return time.thread_time() - started


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a store with a report for every few hours, as they arrived."""
    filled = Store(tmp_path_factory.mktemp("long") / "data", retention_days=DAYS, trace_retention_days=DAYS)
    busy = report(end=NOW, menu=many_endpoints(ENDPOINTS) + many_jobs(JOBS), traces=20)
    for number in reversed(range(DAYS * PER_DAY)):
        end = NOW - number * 86_400 / PER_DAY
        traces = tuple(evolve(trace, id=f"{number:08x}{i:08x}") for i, trace in enumerate(busy.traces))
        assert filled.apply(evolve(busy, id=f"busy-{number}", end=end, start=end - 60, traces=traces), now=end)
    yield filled
    filled.close()


@pytest.mark.parametrize("name", NAMED)
def test_pages_over_a_range_are_read_in_time(store, record_property, name):
    queries, when = Queries(store, Tally()), named_range(name, now=NOW)
    taken = {
        page: sorted(seconds(lambda read=read: read(when)) for _ in range(5))
        for page, read in (("overview", queries.overview), ("endpoints", queries.endpoints), ("jobs", queries.jobs))
    }

    slowest = ", ".join(f"{page} {times[-1] * 1_000:.0f} ms" for page, times in taken.items())
    record_property(
        f"pages of {name}",
        f"{ENDPOINTS} endpoints, {JOBS} jobs, {DAYS} days: {slowest} of CPU time, the slowest of five",
    )
    assert ENDPOINTS == len(queries.endpoints(when)["rows"])
    assert (2 * JOBS, 10) == (len((jobs := queries.jobs(when))["rows"]), len(jobs["queues"]))
    assert max(times[0] for times in taken.values()) < 4.0, "seconds; the budget is 0.2"


def test_a_day_expires_in_no_time_and_frees_its_space(store, record_property):
    before, days = store.size_bytes(), len(files.days(store.directory, "metrics"))
    taken = seconds(lambda: store.tidy(NOW + 2 * 86_400))
    left = files.days(store.directory, "metrics")

    record_property("a day expires", f"{taken * 1_000:.1f} ms; {before // days // 1_024} KiB each day")
    assert len(left) < days
    assert store.size_bytes() < before * (len(left) + 1) / days
    assert taken < 2.0, "seconds; the budget is 0.1"


def test_reports_are_taken_in_quickly(tmp_path, record_property):
    """Twenty processes send 50 names and 20 traces each; the CPU time includes the sender's."""
    base = report(end=time.time(), menu=many_endpoints(50), traces=20)
    spans = sum(len(trace.spans) for trace in base.traces)
    count = 600 if IS_FULL else 20
    bodies = [
        wire.encode(evolve(base, id=f"{number:016x}-1", process=evolve(base.process, instance=f"{number % 20:016x}")))
        for number in range(count)
    ]
    with Collector.running(state_dir=tmp_path / "state") as collector:
        started = time.process_time()
        answers = {send(collector.url, collector.token, body)[0] for body in bodies}
        taken = time.process_time() - started

    calls = count * sum(sum(kind.count for kind in metrics.kinds.values()) for metrics in base.transactions)
    record_property(
        "intake",
        f"{count / taken:.0f} reports/s of CPU time: {count * spans / taken:,.0f} spans in traces, "
        f"{calls / taken:,.0f} in figures",
    )
    assert {202} == answers
    assert count / taken > 1
