"""What the recording side shares: the inbox and its limits, frozen hooks, counters."""

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
def begun():
    """How often the first transaction has ended."""
    return []


@pytest.fixture
def tracer(begun):
    """One that records, without an agent around it."""
    made = Tracer(read_config({"max_queue": 5, "max_spans": 3}, environment={}), lambda: begun.append(1))
    context.tracer = made
    yield made
    context.tracer = None
    assert context.current.get() is None


def record(count: int) -> None:
    for number in range(count):
        with transaction(f"Job/{number}"):
            pass


def test_finished_ones_lie_in_the_inbox_in_the_order_of_their_end(tracer):
    with transaction("Job/outer"):
        thread = Thread(target=record, args=(2,))
        thread.start()
        thread.join()

    assert ["Job/0", "Job/1", "Job/outer"] == [one.operation for one in tracer.inbox]


def test_limits_come_from_the_configuration(tracer):
    with transaction("Job/a") as job:
        for _ in range(4):
            with span("SQL/Query"):
                pass
    record(9)

    assert (3, 1) == (len(job.spans), job.merged["SQL/Query"][0])
    assert (5, 5) == (len(tracer.inbox), tracer.refused)


def test_the_first_end_of_a_transaction_starts_the_agent_once(tracer, begun):
    with transaction("Job/a"):
        assert [] == begun
    record(3)

    assert [1] == begun


def test_hooks_are_called_at_the_start_and_at_each_span_but_not_at_the_transaction_itself(tracer):
    calls = []
    tracer.on_request_start = (lambda one, config: calls.append(("start", one.operation, config is tracer.config)),)
    tracer.on_span = (
        lambda one: calls.append(("span", one.operation)),
        lambda one: calls.append(("again", one.operation)),
    )
    with transaction("Controller/home"), transaction("Job/inline"):
        for number in range(4):
            with span(f"SQL/{number}"):
                pass

    spans = ["SQL/0", "SQL/1", "SQL/2", "SQL/3", "Job/inline"]
    expected = [(name, operation) for operation in spans for name in ("span", "again")]
    assert [("start", "Controller/home", True), *expected] == calls


def test_a_hook_at_the_start_sees_it_as_the_current_one(tracer):
    seen = []
    tracer.on_request_start = (lambda one, config: seen.append(context.current_transaction() is one),)
    record(1)

    assert [True] == seen


def test_late_spans_are_counted_except_those_of_ignored_transactions(tracer):
    def work():
        with span("SQL/Query"):
            pass

    with transaction("Controller/counted"):
        counted = contextvars.copy_context()
    with transaction("Controller/ignored") as ignored:
        unwanted = contextvars.copy_context()
        ignored.ignore()
    counted.run(work)
    unwanted.run(work)

    assert 1 == tracer.late_spans


def test_a_retired_one_takes_nothing_more_and_starts_nothing(tracer, begun):
    calls = []
    tracer.on_span = (calls.append,)
    tracer.on_request_start = (lambda one, config: calls.append(one),)
    with transaction("Job/open") as job:
        tracer.retire()
        calls.clear()
        with span("SQL/Query"):
            pass
    record(2)

    assert (0, 3, [], []) == (len(tracer.inbox), tracer.refused, calls, begun)
    assert ([], 1) == (job.spans, job.merged["SQL/Query"][0])


def test_a_transaction_belongs_to_the_one_that_it_began_under(tracer):
    with Transaction("Job/open"):
        context.tracer = other = Tracer(tracer.config, lambda: None)
    record(1)

    assert (["Job/open"], ["Job/0"]) == (
        [one.operation for one in tracer.inbox],
        [one.operation for one in other.inbox],
    )
