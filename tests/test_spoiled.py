"""Reports of transactions into which the application or a hook has put something else: the figures arrive, without negative times."""

from __future__ import annotations

import itertools
from math import inf, isfinite, nan
from typing import Any

import pytest

from scout_core import span, transaction
from scout_core.measuring.report import Report
from scout_core.sending.wire import decode, encode
from tests.workbench import plugin, running


def report_with(*, threaded: bool = False, **hooks: Any) -> Report:
    """Return the report of three requests with a span each, and with these hooks."""
    reports: list[Report] = []
    with running(
        plugin("spoiling", **hooks), plugin(on_report=lambda report: reports.append(report)), threaded=threaded
    ) as agent:
        for name in ("one", "two", "three"):
            with transaction(f"Controller/{name}"), span("SQL/Query"):
                pass
        agent.recorder.work()
        agent.recorder.close_period()
    return reports[0]


def numbers_of(report: Report) -> list[float]:
    """Return every duration in a report."""
    found = []
    for metrics in report.transactions:
        found += [metrics.total, metrics.queue_time, *metrics.durations.buckets.values()]
        for kind in metrics.kinds.values():
            found += [kind.total, kind.exclusive]
    for trace in report.traces:
        found += [trace.duration, trace.queue_time or 0.0, *(seconds for _, seconds in trace.merged.values())]
        for record in trace.spans:
            found += [record.start, record.duration]
    return [*found, report.end - report.start]


BAD_SPANS = {
    "a number": lambda spans: [*spans, 5],
    "None": lambda spans: [None],
    "an object": lambda spans: [object()],
    "a span twice": lambda spans: spans * 2,
    "not a list": lambda spans: 5,
    "nothing": lambda spans: None,
    "a text": lambda spans: "spans",
    "endless": lambda spans: itertools.cycle(spans),
    "endless numbers": lambda spans: itertools.count(),
}


@pytest.mark.parametrize("bad", BAD_SPANS.values(), ids=BAD_SPANS)
def test_on_keep_that_spoils_its_own_transaction_changes_nothing(bad):
    """Its trace is complete by then."""

    def on_keep(transaction):
        transaction.spans = bad(transaction.spans)

    report = report_with(on_keep=on_keep)

    assert 3 == sum(metrics.count for metrics in report.transactions)
    assert [1, 1, 1] == [len(trace.spans) for trace in report.traces]
    assert report == decode(encode(report))


@pytest.mark.parametrize("bad", BAD_SPANS.values(), ids=BAD_SPANS)
def test_a_hook_that_spoils_another_transaction_costs_at_most_its_trace(bad):
    seen = []

    def spoil(transaction):
        for other in seen:
            other.spans = bad(other.spans)

    report = report_with(on_request_end=lambda transaction: seen.append(transaction), on_keep=spoil)

    assert 3 == sum(metrics.count for metrics in report.transactions)
    assert 1 <= len(report.traces) <= 3
    assert report == decode(encode(report))


def times(field: str, value: Any):
    def on_request_start(transaction):
        setattr(transaction, field, value)

    return on_request_start


@pytest.mark.parametrize(
    "value", [-5.0, -1e30, nan, inf, -inf, 10**400, "5", "text", [], None, True], ids=lambda value: str(value)[:8]
)
@pytest.mark.parametrize("field", ["queue_time", "queued_at", "started", "id"])
def test_an_attribute_of_another_kind_costs_at_most_its_transaction(field, value):
    report = report_with(on_request_end=times(field, value), on_request_start=times("queue_time", 1.0))

    assert 3 == sum(metrics.count for metrics in report.transactions) + report.counters[""].dropped.get(
        "internal error", 0
    )
    assert report == decode(encode(report)), "a receiver accepts it"


@pytest.mark.parametrize("step_ns", [-1, -(10**9), -(10**15), 10**25])
def test_no_duration_is_negative_when_a_clock_steps(step_ns):
    def step(transaction):
        transaction.stop_ns = transaction.start_ns + step_ns
        for child in transaction.spans:
            child.stop_ns = child.start_ns + step_ns
            child.start_ns -= 10**12

    report = report_with(on_request_end=step)

    assert 3 == sum(metrics.count for metrics in report.transactions)
    assert all(seconds >= 0 and isfinite(seconds) for seconds in numbers_of(report))


def test_no_duration_is_negative_when_merged_spans_step():
    def step(transaction):
        transaction.merged = {"SQL/Query": [3, -(10**9), -(10**9), 0]}

    report = report_with(on_request_end=step)

    assert all(seconds >= 0 for seconds in numbers_of(report))


def test_a_queue_time_in_the_future_is_zero():
    report = report_with(on_request_end=lambda transaction: setattr(transaction, "queue_time", -7.0))

    assert [(0.0, 1)] * 3 == [(metrics.queue_time, metrics.queued) for metrics in report.transactions]
    assert [0.0] * 3 == [trace.queue_time for trace in report.traces]
