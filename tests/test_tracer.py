"""The state that all recording shares: the inbox and its limits, frozen hooks, counters."""

from __future__ import annotations

import contextvars
from threading import Thread

import pytest

from scout_core import span, transaction
from scout_core.config.config import read_config
from scout_core.recording import context
from scout_core.recording.tracer import Tracer
from scout_core.recording.transaction import Transaction


@pytest.fixture
def starts():
    """A list with an item for each call that starts the agent."""
    return []


@pytest.fixture
def tracer(starts):
    """A tracer that records without an agent."""
    tracer = Tracer(read_config({"max_queue": 5, "max_spans": 3}, environment={}), lambda: starts.append(1))
    context.tracer = tracer
    yield tracer
    context.tracer = None
    assert context.current.get() is None


def record(count: int) -> None:
    for number in range(count):
        with transaction(f"Job/{number}"):
            pass


def test_finished_transactions_are_in_the_inbox_in_the_order_of_their_end(tracer):
    with transaction("Job/outer"):
        thread = Thread(target=record, args=(2,))
        thread.start()
        thread.join()

    assert ["Job/0", "Job/1", "Job/outer"] == [finished.operation for finished in tracer.inbox]


def test_limits_come_from_the_configuration(tracer):
    with transaction("Job/a") as job:
        for _ in range(4):
            with span("SQL/Query"):
                pass
    record(9)

    assert (3, 1) == (len(job.spans), job.merged["SQL/Query"][0])
    assert (5, 5, 0) == (len(tracer.inbox), len(tracer.overflow), tracer.refused)


def test_the_agent_starts_once_when_the_first_transaction_ends(tracer, starts):
    record(1)
    assert [] == starts
    tracer.await_first()
    with transaction("Job/a"):
        assert [] == starts
    record(3)

    assert [1] == starts


def test_hooks_are_called_at_the_start_and_for_every_span_except_the_transaction(tracer):
    calls = []
    tracer.on_request_start = (
        lambda started, config: calls.append(("start", started.operation, config is tracer.config)),
    )
    tracer.on_span = (
        lambda ended: calls.append(("span", ended.operation)),
        lambda ended: calls.append(("again", ended.operation)),
    )
    with transaction("Controller/home"), transaction("Job/inline"):
        for number in range(4):
            with span(f"SQL/{number}"):
                pass

    spans = ["SQL/0", "SQL/1", "SQL/2", "SQL/3", "Job/inline"]
    expected = [(name, operation) for operation in spans for name in ("span", "again")]
    assert [("start", "Controller/home", True), *expected] == calls


def test_a_transaction_is_current_when_its_start_hook_is_called(tracer):
    is_current = []
    tracer.on_request_start = (lambda started, config: is_current.append(context.current_transaction() is started),)
    record(1)

    assert [True] == is_current


def test_late_spans_are_counted_except_those_of_ignored_transactions(tracer):
    def work():
        with span("SQL/Query"):
            pass

    with transaction("Controller/counted"):
        of_counted = contextvars.copy_context()
    with transaction("Controller/ignored") as ignored:
        of_ignored = contextvars.copy_context()
        ignored.ignore()
    of_counted.run(work)
    of_ignored.run(work)

    assert 1 == tracer.late_spans


def test_a_retired_tracer_records_nothing_and_calls_nothing(tracer, starts):
    calls = []
    tracer.on_span = (calls.append,)
    tracer.on_request_start = (lambda started, config: calls.append(started),)
    with transaction("Job/open") as job:
        tracer.retire()
        calls.clear()
        with span("SQL/Query"):
            pass
    record(2)

    assert (0, 0, 3) == (len(tracer.inbox), len(tracer.overflow), tracer.after_stop)
    assert ([], []) == (calls, starts)
    assert ([], 1) == (job.spans, job.merged["SQL/Query"][0])


def test_a_transaction_belongs_to_the_tracer_that_it_started_with(tracer):
    with Transaction("Job/open"):
        context.tracer = other = Tracer(tracer.config, lambda: None)
    record(1)

    assert (["Job/open"], ["Job/0"]) == (
        [finished.operation for finished in tracer.inbox],
        [finished.operation for finished in other.inbox],
    )
