"""The facts of jobs, as they are recorded: names, outcomes, callbacks, what was enqueued, and by whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
import rq
import shop
from rq import Queue
from rq_queues import (
    HAS_LINKS,
    HAS_MANY,
    HAS_REPEATS,
    HAS_RETRIES,
    HAS_SCHEDULER,
    NAME,
    VERSION,
    RqQueue,
    connect,
    work,
)

from scout_core import transaction


@pytest.fixture
def queue(url):
    made = RqQueue()
    yield made.queue
    made.close()


def spans_of(found, kind: str) -> list:
    """Return the spans of a kind: without those of Redis, where its plugin is installed."""
    return [span for span in found.spans if span.operation.startswith(f"{kind}/")]


def jobs_of(scout) -> list[tuple[str, str]]:
    """Return the operation and the outcome of each job."""
    return [(found.operation, found.tags["outcome"]) for found in scout.transactions if "outcome" in found.tags]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (shop.send, "Job/shop.send"),
        ("shop.send", "Job/shop.send"),
        (shop.Sender().send, "Job/shop.Sender.send"),
        pytest.param(shop.Sender.send_all, "Job/shop.Sender.send_all", marks=pytest.mark.skipif(
            VERSION < (1, 1), reason="not with this RQ: class methods are jobs since 1.1"
        )),
    ],
)  # fmt: skip
def test_a_job_is_named_after_its_function(scout, queue, function, name):
    queue.enqueue(function, *([1] if name == "Job/shop.send" else []))
    work(queue)

    assert [(name, "success")] == jobs_of(scout)


def test_a_job_that_cannot_be_deserialized_fails(scout, queue):
    queue.enqueue(shop.send, shop.Unreadable())
    work(queue)

    assert [("Job/unreadable", "failure")] == jobs_of(scout)


def test_a_job_that_exceeds_its_timeout(scout, queue):
    queue.enqueue(shop.wait, 30, job_timeout=1)
    work(queue)

    assert [("Job/shop.wait", "timed_out")] == jobs_of(scout)
    assert scout.transaction.is_error


@pytest.mark.skipif(not HAS_REPEATS, reason="not with this RQ: a job can return Retry since 2.2")
def test_a_job_that_returns_retry_too_often_has_failed(scout, queue):
    queue.enqueue(shop.again)
    work(queue)

    assert [("Job/shop.again", outcome) for outcome in ("retry", "retry", "failure")] == jobs_of(scout)


@pytest.mark.skipif(not HAS_RETRIES, reason="not with this RQ: it tries again since 1.5")
def test_only_the_last_attempt_of_a_job_is_an_error(scout, queue):
    queue.enqueue(shop.fail, retry=rq.Retry(max=2))
    work(queue)

    assert [False, False, True] == [found.is_error for found in scout.transactions]
    assert [(error.handled, error.message) for found in scout.transactions for error in found.errors] == [
        (True, "no stamp"),
        (True, "no stamp"),
        (False, "no stamp"),
    ]


@pytest.mark.skipif(VERSION < (1, 10), reason="not with this RQ: it has callbacks since 1.9")
class TestCallbacks:
    @pytest.fixture(autouse=True)
    def _callback(self):
        self.callback = getattr(rq, "Callback", lambda function: function)  # since 1.11

    def test_a_callback_is_a_part_of_its_job(self, scout, queue):
        queue.enqueue(shop.send, 1, on_success=self.callback(shop.thank))
        work(queue)

        written, thanked = spans_of(scout.transaction, "Letter")

        assert ("Letter/Write", "Letter/Thank") == (written.operation, thanked.operation)

    def test_a_callback_that_raises_fails_its_job(self, scout, queue):
        job = queue.enqueue(shop.send, 1, on_success=self.callback(shop.refuse))
        work(queue)

        assert job.get_status() == "failed"
        assert [("Job/shop.send", "failure")] == jobs_of(scout)


def test_an_enqueue_is_one_span_which_the_job_names_as_its_caller(scout, queue):
    with transaction("Controller/shop.order"):
        job = queue.enqueue(shop.send, 1)
    work(queue)
    order, sent = scout.transactions
    (enqueued,) = spans_of(order, "RQ")

    assert ("RQ/Enqueue", {"queue": NAME, "task_id": job.id}) == (enqueued.operation, enqueued.tags)
    assert not HAS_LINKS or (order.trace_id, enqueued.span_id) == (sent.trace_id, sent.parent_span_id)
    assert {"queue": NAME, "task_id": job.id, "outcome": "success"} == sent.tags
    assert {} == job.meta


@pytest.mark.skipif(not HAS_MANY, reason="not with this RQ: enqueue_many comes with 1.9")
def test_many_jobs_are_enqueued_in_one_span(scout, queue):
    with transaction("Controller/shop.order"):
        queue.enqueue_many([Queue.prepare_data(shop.send, (number,)) for number in range(3)])
    work(queue)
    order, *sent = scout.transactions

    assert [("RQ/Enqueue", 3)] == [(found.operation, found.tags["jobs"]) for found in spans_of(order, "RQ")]
    assert [order.trace_id] * 3 == [found.trace_id for found in sent]


@pytest.mark.skipif(not HAS_LINKS, reason="not with this RQ: its jobs are not linked")
def test_a_job_that_depends_on_another_is_a_part_of_the_trace_of_the_request(scout, queue):
    with transaction("Controller/shop.order"):
        first = queue.enqueue(shop.send, 1)
        queue.enqueue(shop.send, 2, depends_on=first)
    work(queue)

    assert 3 == len(scout.transactions)
    assert 1 == len({found.trace_id for found in scout.transactions})


@pytest.mark.skipif(not HAS_REPEATS, reason="not with this RQ: it repeats jobs since 2.2")
def test_each_repetition_begins_a_trace(scout, queue):
    with transaction("Controller/shop.order"):
        queue.enqueue(shop.send, 1, repeat=rq.Repeat(times=2))
    work(queue)
    order, first, *repeated = scout.transactions

    assert order.trace_id == first.trace_id
    assert 3 == len({order.trace_id, *(found.trace_id for found in repeated)})
    assert ["", ""] == [found.parent_span_id for found in repeated]


@pytest.mark.skipif(not HAS_SCHEDULER, reason="not with this RQ: it schedules jobs since 1.2")
def test_a_job_that_is_scheduled_is_a_part_of_the_trace_of_the_request(scout, queue):
    with transaction("Controller/shop.order"):
        queue.enqueue_in(timedelta(seconds=0), shop.send, 1)
    RqQueue().work()
    order, sent = scout.transactions

    assert order.trace_id == sent.trace_id
    assert 0.0 <= sent.queue_time < 10.0


def test_a_synchronous_job_outside_a_request_is_a_transaction(scout, url):
    client = connect(url)
    Queue(NAME, connection=client, is_async=False).enqueue(shop.send, 1)
    client.connection_pool.disconnect()

    assert [("Job/shop.send", "success")] == jobs_of(scout)
    assert [NAME] == [found.tags["queue"] for found in scout.transactions]
