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


def spoiled_by(hook: str, spoil: Any, **hooks: Any) -> tuple[Report, Any]:
    """Return the report of three requests that this hook spoils, and the status of its plugin."""
    reports: list[Report] = []
    modules = (
        plugin("spoiling", **{hook: spoil}),
        plugin("others", **hooks, on_report=lambda report: reports.append(report)),
    )
    with running(*modules, threaded=False, plugins_reraise=False) as agent:
        for name in ("one", "two", "three"):
            with transaction(f"Controller/{name}"), span("SQL/Query"):
                pass
        agent.recorder.work()
        agent.recorder.close_period()
        (status,) = [status for status in agent.plugin_statuses() if status.name == "spoiling"]
    return reports[0], status


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


INVALID = {
    "spans": [5, None, "spans", (), [5], [None, object()]],
    "start_ns": [None, "5", nan, True],
    "stop_ns": [None, []],
    "started": [None, "now", inf, True],
    "queued_at": ["now", []],
    "queue_time": ["5", nan, object()],
    "id": [None, "5", 1.5],
    "size": [None, "5"],
    "error": [5, ValueError()],
    "raised": [5, ValueError()],
    "merged": [5, []],
    "ignored": [5],
    "request": [5, "/path"],
}
HOOKS = ("on_request_end", "ignore_transaction", "trace_group", "score_transaction")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in INVALID.items() for value in values],
    ids=lambda value: str(value)[:8],
)
def test_a_hook_that_leaves_a_value_of_another_type_is_named_and_costs_nothing(hook, field, value):
    report, status = spoiled_by(hook, lambda transaction: setattr(transaction, field, value))

    assert 3 == sum(metrics.count for metrics in report.transactions)
    assert ([1, 1, 1], {}) == ([len(trace.spans) for trace in report.traces], report.counters[""].dropped)
    assert 3 == status.errors
    assert f"ValueError: it left a transaction whose {field} must be " in status.last_error


@pytest.mark.parametrize("hook", [*HOOKS, "on_keep"])
@pytest.mark.parametrize("item", [5, None, object(), "span"], ids=lambda item: str(item)[:8])
def test_a_hook_that_adds_something_else_to_the_spans_is_named_and_costs_nothing(hook, item):
    report, status = spoiled_by(hook, lambda transaction: transaction.spans.insert(0, item))

    assert (3, [1, 1, 1]) == (status.errors, [len(trace.spans) for trace in report.traces])
    expected = (
        f"ValueError: it left a transaction whose spans must be a list of spans, got {type(item).__name__} among them"
    )
    assert expected == status.last_error


@pytest.mark.parametrize(
    "change",
    [
        lambda transaction: transaction.spans.clear(),
        lambda transaction: setattr(transaction, "spans", transaction.spans[:0]),
        lambda transaction: setattr(transaction, "queue_time", 2),
        lambda transaction: setattr(transaction, "stop_ns", transaction.stop_ns + 10**9),
        lambda transaction: transaction.tag("plan", "gold"),
    ],
)
def test_a_hook_may_change_what_stays_of_the_right_type(change):
    _, status = spoiled_by("on_request_end", change)

    assert 0 == status.errors


def test_what_the_application_has_left_is_not_the_fault_of_a_hook():
    watching = plugin("watching", on_request_end=lambda transaction: transaction.tag("plan", "gold"))
    with running(watching, threaded=False) as agent:
        with transaction("Controller/home") as web:
            web.queue_time = "soon"
        with transaction("Controller/cart") as web, span("SQL/Query"):
            pass
        web.spans.append(5)
        agent.recorder.work()
        (status,) = [status for status in agent.plugin_statuses() if status.name == "watching"]

    assert (2, 0) == (status.calls, status.errors)


def test_a_hook_that_raises_and_spoils_has_failed_once():
    def spoil(transaction):
        transaction.spans = 5
        raise KeyError("own")

    report, status = spoiled_by("on_request_end", spoil)

    assert (3, [1, 1, 1]) == (status.errors, [len(trace.spans) for trace in report.traces])
    assert "KeyError: 'own'" in status.last_error


def test_a_hook_that_always_spoils_is_switched_off():
    spoil = plugin("spoiling", score_transaction=lambda transaction: setattr(transaction, "spans", None))
    with running(spoil, threaded=False) as agent:
        for _ in range(20):
            with transaction("Controller/home"):
                pass
        agent.recorder.work()
        (status,) = [status for status in agent.plugin_statuses() if status.name == "spoiling"]

    assert ("quarantined", 10) == (status.state, status.calls)


@pytest.mark.parametrize(
    ("field", "value"),
    [("start_ns", None), ("stop_ns", "5"), ("error", 5)],
    ids=lambda value: str(value),
)
def test_a_hook_that_spoils_a_span_is_named_from_the_second_time_and_costs_nothing_more(field, value):
    """Values in spans are examined once something could not be counted or reported: that takes longer."""

    def spoil(transaction):
        for child in transaction.spans:
            setattr(child, field, value)

    reports: list[Report] = []
    others = plugin("others", on_report=lambda report: reports.append(report))
    with running(plugin("spoiling", on_request_end=spoil), others, threaded=False) as agent:
        for _ in range(2):
            with transaction("Controller/home"), span("SQL/Query"):
                pass
            agent.recorder.work()
            agent.recorder.close_period()
        (status,) = [status for status in agent.plugin_statuses() if status.name == "spoiling"]

    assert [1] == [len(trace.spans) for trace in reports[1].traces]
    assert (1, True) == (status.errors, f"it left a span whose {field} must be " in status.last_error)
