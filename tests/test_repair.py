"""Values of another type that hooks or the application leave in transactions and spans: everything counts, and the culprit is named."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from math import nan
from typing import Any

import pytest

from scout_core import span, transaction
from scout_core.measuring.report import Report
from scout_core.recording.safety.repair import put_right
from scout_core.sending.wire import decode, encode
from tests.workbench import plugin, running

OF_TRANSACTION = {
    "spans": [5, None, "spans", (), [5], object()],
    "started": [None, "now", nan],
    "queued_at": ["now", []],
    "queue_time": ["soon", nan, object()],
    "id": [None, "5", 1.5],
    "size": [None, "5", nan],
    "bounded": [None, "5"],
    "error": ["Boom", ValueError(), 5],
    "raised": [5, ValueError()],
    "merged": [5, []],
    "request": [5, "/path", object()],
    "started_by": ["5", None],
    "add_request_tags": [5, "tags"],
}
OF_SPAN = {
    "start_ns": [None, "5", nan],
    "stop_ns": [None, "5", nan],
    "error": ["Boom", ValueError(), 5],
    "transaction": [3, object()],
}


def table(attributes: dict[str, list[Any]]):
    return pytest.mark.parametrize(
        ("name", "value"),
        [(name, value) for name, values in attributes.items() for value in values],
        ids=lambda value: str(value)[:8],
    )


class Watched:
    """The fate of some requests, each in a period of its own; the last report only has the final counters."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.errors: dict[str, int] = {}
        self.last_error = ""

    @property
    def counts(self) -> list[int]:
        return [sum(metrics.count for metrics in report.transactions) for report in self.reports[:-1]]

    @property
    def spans(self) -> list[list[int]]:
        return [[len(trace.spans) for trace in report.traces] for report in self.reports[:-1]]

    @property
    def invalid_values(self) -> int:
        return self.reports[-1].counters[""].invalid_values


def reads_everything(transaction: Any) -> None:
    """Stands for plugins that rely on the types."""
    _ = transaction.error and transaction.error.__mro__
    _ = transaction.queue_time and transaction.queue_time + 1
    for child in transaction.spans:
        _ = child.error and child.error.__mro__
        _ = child.parent and child.parent.operation
        _ = child.transaction.operation, child.stop_ns - child.start_ns


def reads_span(span: Any) -> None:
    """The same for a span."""
    _ = span.error and span.error.__mro__
    _ = span.parent.operation, span.transaction.operation, span.stop_ns - span.start_ns


def watched(*, requests: int = 3, work: Any = lambda web, query: None, **hooks: Any) -> Watched:
    """Run requests with a span each, between an innocent plugin that is called before this one and one that is called after it."""
    found = Watched()
    modules = (
        plugin("aaa_innocent", on_span=reads_span, on_request_end=reads_everything),
        plugin("odd", **hooks) if hooks else plugin("odd", on_stop=lambda: None),
        plugin("zzz_innocent", on_span=reads_span, on_request_end=reads_everything),
        plugin("keeping", on_report=lambda report: found.reports.append(report)),
    )
    with running(*modules, threaded=False, plugins_reraise=False) as agent:
        for number in range(requests):
            with transaction(f"Controller/{number}") as web:
                with span("SQL/Query") as query:
                    pass
                work(web, query)
            agent.recorder.work()
            agent.recorder.close_period()
        for status in agent.plugin_statuses():
            found.errors[status.name] = status.errors
            if status.name == "odd":
                found.last_error = status.last_error
    return found


def setting(name: str, value: Any):
    return lambda transaction: setattr(transaction, name, copy(value))


@table(OF_TRANSACTION)
@pytest.mark.parametrize("hook", ["on_request_start", "on_request_end"])
def test_a_hook_that_leaves_another_type_in_a_transaction_is_named_by_the_second_time(hook, name, value):
    found = watched(**{hook: setting(name, value)})

    assert [1, 1, 1] == found.counts
    assert all(len(spans) == 1 for spans in found.spans)
    assert [[1], [1]] == found.spans[1:]
    assert found.errors["odd"] >= 2
    assert f"it left a transaction whose {name} must be " in found.last_error
    assert (0, 0) == (found.errors["aaa_innocent"], found.errors["zzz_innocent"])
    assert all(report == decode(encode(report)) for report in found.reports)


@table(OF_SPAN)
def test_a_hook_that_leaves_another_type_in_a_span_is_named_by_the_second_time(name, value):
    found = watched(on_span=lambda span: setattr(span, name, value))

    assert ([1, 1, 1], [[1], [1], [1]]) == (found.counts, found.spans)
    assert found.errors["odd"] >= 2
    assert f"it left a span whose {name} must be " in found.last_error
    assert (0, 0) == (found.errors["aaa_innocent"], found.errors["zzz_innocent"])


@table({"queue_time": ["soon"], "id": [None], "request": [5]})
def test_a_hook_that_reaches_the_transaction_of_a_span_is_named(name, value):
    found = watched(on_span=lambda span: setattr(span.transaction, name, value))

    assert ([1, 1, 1], [[1], [1], [1]]) == (found.counts, found.spans)
    assert f"it left a transaction whose {name} must be " in found.last_error


@table(OF_TRANSACTION)
def test_the_application_that_leaves_another_type_in_a_transaction_loses_nothing_else(name, value):
    found = watched(work=lambda web, query: setattr(web, name, copy(value)))

    expected = [[], [], []] if name == "spans" else [[1], [1], [1]]
    assert [1, 1, 1] == found.counts
    assert expected == [[number for number in spans if number] for spans in found.spans]
    assert [1, 1, 1] == [len(spans) for spans in found.spans]
    assert found.invalid_values == 3
    assert {0} == set(found.errors.values())


@table(OF_SPAN)
def test_the_application_that_leaves_another_type_in_a_span_loses_nothing(name, value):
    found = watched(work=lambda web, query: setattr(query, name, value))

    assert ([1, 1, 1], [[1], [1], [1]]) == (found.counts, found.spans)
    assert found.invalid_values == 3
    assert {0} == set(found.errors.values())


def test_a_plugin_that_fails_by_itself_is_named_however_often_the_application_is_wrong():
    def fail(transaction):
        raise KeyError("own")

    found = watched(requests=5, work=lambda web, query: setattr(web, "queue_time", "soon"), on_request_end=fail)

    assert found.errors["odd"] >= 4
    assert (0, 0) == (found.errors["aaa_innocent"], found.errors["zzz_innocent"])


def test_right_values_are_not_touched():
    found = watched(
        work=lambda web, query: setattr(web, "queue_time", Decimal("0.5")), on_request_start=lambda transaction: None
    )

    assert ([1, 1, 1], 0) == (found.counts, found.invalid_values)
    assert [0.5] * 3 == [trace.queue_time for report in found.reports for trace in report.traces]


def test_an_exception_in_place_of_its_class_keeps_the_class(scout):
    with transaction("Job/a") as job:
        job.error = ValueError("own")

        assert "a transaction whose error must be a class or None, got ValueError" == put_right(job)
        assert job.error is ValueError
        assert "" == put_right(job)
    assert 1 == scout.agent.counters().invalid_values


@pytest.mark.parametrize("size", [nan, 0.5, float("inf")])
def test_a_size_that_is_not_an_int_does_not_fill_the_inbox(size):
    with running(threaded=False, plugins_reraise=False) as agent:
        for _ in range(5):
            with transaction("Job/a") as job:
                job.size = size
            agent.recorder.work()
        counters = agent.counters()

    assert (5, 0) == (counters.finished, counters.figures_only)
    assert 0 == agent.tracer.entered - agent.tracer.left
