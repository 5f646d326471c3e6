"""Tasks on a real Redis, each run by Celery's own request in this process, in the order in which they were published."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from celery import chain, chord, group
from celery.worker.request import Request
from celery_queues import CELERY_WARNS, QUEUE, close, make_app
from kombu import Consumer

import scout_core
from scout_celery import install
from scout_core import transaction
from scout_core.sending.wire import encode
from scout_core.testing.scout import recording

pytestmark = CELERY_WARNS


class Shop:
    """An application, and the messages that are in its queue."""

    def __init__(self, app):
        self.app = app
        self.task = {name.removeprefix("shop."): task for name, task in app.tasks.items()}
        self.connection = app.connection()
        self.messages = []
        self.consumer = Consumer(
            self.connection, app.amqp.queues[QUEUE], on_message=self.messages.append, accept=["json"]
        )
        self.consumer.consume()

    def receive(self):
        """Take the next message."""
        while not self.messages:
            self.connection.drain_events(timeout=5)
        message = self.messages.pop(0)
        message.ack()
        return message

    def run(self, times=1):
        for _ in range(times):
            message = self.receive()
            task = self.app.tasks[message.headers["task"]]
            Request(message, app=self.app, task=task).execute()

    def close(self):
        self.consumer.cancel()
        self.connection.release()
        close(self.app)


@pytest.fixture
def shop():
    made = Shop(make_app(uuid4().hex))
    yield made
    made.close()


def order(publish, *args, **options):
    with transaction("Controller/shop.order"):
        return publish(*args, **options)


def jobs(scout):
    return [found for found in scout.transactions if found.operation.startswith("Job/")]


def names(scout):
    return [found.operation.removeprefix("Job/shop.") for found in jobs(scout)]


def publisher_of(scout, job):
    """The name of the transaction with the span that a job names as its caller."""
    (caller,) = [
        found.operation for found in scout.transactions if job.parent_span_id in {span.span_id for span in found.spans}
    ]
    return caller.rpartition(".")[2]


def test_a_publish_is_a_span_that_its_job_names_as_its_caller(scout, shop):
    order(shop.task["add"].delay, 1)
    shop.run()
    request, job = scout.transactions
    publish = next(span for span in request.spans if span.operation == "Publish/shop.add")

    assert "Controller/shop.order" == publish.parent
    assert (request.trace_id, publish.span_id) == (job.trace_id, job.parent_span_id)


def test_send_task_is_covered_too(scout, shop):
    order(shop.app.send_task, "shop.add", (1,))
    shop.run()

    assert "order" == publisher_of(scout, jobs(scout)[0])


@pytest.mark.parametrize("is_published_with", [True, False])
def test_messages_are_read_with_and_without_the_agent(shop, is_published_with):
    """The result is the same, whichever side has the agent."""
    if is_published_with:
        with recording():
            result = order(shop.task["add"].delay, 1, 2)
        shop.run()
    else:
        result = shop.task["add"].delay(1, 2)
        with recording() as scout:
            shop.run()
        assert ["add"] == names(scout)

    assert 3 == result.get(timeout=5)


def test_headers_of_the_application_stay(scout, shop):
    own = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "customer": "Ada"}
    order(shop.task["add"].apply_async, (1,), headers=own)
    message = shop.receive()

    assert own == {name: message.headers[name] for name in own}
    assert {"traceparent": own["traceparent"], "customer": "Ada"} == own
    assert " " not in message.headers["scout-sent"]


def test_each_attempt_is_linked_to_the_one_before(scout, shop):
    order(shop.task["retry_once"].delay, 1)
    shop.run(2)
    first, second = jobs(scout)

    assert [("retry", 1), ("success", 2)] == [(job.tags["outcome"], job.tags["attempt"]) for job in (first, second)]
    assert ["order", "retry_once"] == [publisher_of(scout, job) for job in (first, second)]
    assert [True] == [error.handled for error in first.errors]


def test_a_chain_is_linked_step_by_step(scout, shop):
    order(chain(shop.task["add"].s(1, 2), shop.task["add"].s(3), shop.task["add"].s(4)).delay)
    shop.run(3)

    assert ["order", "add", "add"] == [publisher_of(scout, job) for job in jobs(scout)]
    assert 1 == len({found.trace_id for found in scout.transactions})
    first, second, third = jobs(scout)
    assert [first.tags["task_id"], second.tags["task_id"]] == [
        second.tags["parent_task_id"],
        third.tags["parent_task_id"],
    ]


def test_a_group_is_published_as_spans_of_the_request(scout, shop):
    order(group(shop.task["add"].s(number) for number in range(3)).delay)
    shop.run(3)
    (request,) = [found for found in scout.transactions if found.operation.startswith("Controller/")]

    assert 3 == sum(span.operation == "Publish/shop.add" for span in request.spans)
    assert ["order"] * 3 == [publisher_of(scout, job) for job in jobs(scout)]


def test_the_body_of_a_chord_is_linked_to_the_last_task_of_its_header(scout, shop):
    result = order(chord([shop.task["add"].s(1), shop.task["add"].s(2)]), shop.task["total"].s())
    shop.run(3)

    assert 3 == result.get(timeout=5)
    assert ["add", "add", "total"] == names(scout)
    assert ["order", "order", "add"] == [publisher_of(scout, job) for job in jobs(scout)]
    assert jobs(scout)[2].parent_span_id in {span.span_id for span in jobs(scout)[1].spans}


def test_a_task_that_replaces_another_is_linked_to_it(scout, shop):
    order(shop.task["hand_over"].delay, 1)
    shop.run(2)

    assert [("hand_over", "ignored"), ("add", "success")] == [
        (name, job.tags["outcome"]) for name, job in zip(names(scout), jobs(scout))
    ]
    assert "hand_over" == publisher_of(scout, jobs(scout)[1])


def test_link_error_is_linked_to_the_task_that_failed(scout, shop):
    order(shop.task["fail"].apply_async, (1,), link_error=shop.task["total"].si([1]))
    shop.run(2)

    assert ["fail", "total"] == names(scout)
    assert "fail" == publisher_of(scout, jobs(scout)[1])


def test_a_soft_time_limit_is_an_error_of_its_own_kind(scout, shop):
    @shop.app.task(name="shop.slow")
    def slow():
        raise SoftTimeLimitExceeded(1)

    slow.delay()
    shop.run()
    (job,) = jobs(scout)

    assert ("timed_out", True) == (job.tags["outcome"], job.is_error)


@pytest.mark.parametrize("seconds, is_known", [(-1, True), (-3_600 * 24 * 365 * 20, False), (3_600, False)])
def test_a_time_that_cannot_be_is_not_a_queue_time(scout, shop, scout_clock, seconds, is_known):
    """As where the clocks of two machines differ, or a header has a number of another kind."""
    shop.task["add"].delay(1)
    message = shop.receive()
    message.headers["scout-sent"] = str(scout_clock.time() + seconds)
    Request(message, app=shop.app, task=shop.task["add"]).execute()

    assert is_known == (jobs(scout)[0].queue_time is not None)


@pytest.mark.parametrize("text", ["0", "5", "-1", "1e3", "nan", "inf", "yesterday", "", "9" * 400])
def test_a_header_without_a_time_of_today_is_not_a_queue_time(scout, shop, text):
    shop.task["add"].delay(1)
    message = shop.receive()
    message.headers["scout-sent"] = text
    Request(message, app=shop.app, task=shop.task["add"]).execute()

    assert [None] == [job.queue_time for job in jobs(scout)]


def test_a_task_that_was_due_later_has_waited_since_then(scout, shop, scout_clock):
    now = datetime.fromtimestamp(scout_clock.time(), timezone.utc)
    shop.task["add"].apply_async((1,), eta=now + timedelta(seconds=10))
    shop.task["add"].apply_async((1,), eta=now - timedelta(hours=1))
    scout_clock.advance(12.0)
    shop.run(2)

    assert [2.0, 12.0] == [pytest.approx(job.queue_time, abs=1e-3) for job in jobs(scout)]


def test_protocol_1_has_the_headers_too(scout, shop):
    shop.app.conf.task_protocol = 1
    order(shop.task["add"].delay, 1)
    message = shop.receive()
    body = message.payload
    headers = {**body, "headers": message.headers}
    task = shop.task["add"]
    task.__trace__ = None
    from celery.app.trace import trace_task

    trace_task(task, body["id"], body["args"], body["kwargs"], headers, app=shop.app)
    (job,) = jobs(scout)

    assert "order" == publisher_of(scout, job)
    assert job.queue_time is not None


def test_arguments_are_recorded_only_by_option(scout, shop):
    shop.task["add"].apply((1,), {"other": 2})

    assert [] == [tag for tag in jobs(scout)[0].tags if tag.startswith("argument")]


def test_no_argument_leaves_with_an_error(scout, shop):
    """Scout's agent sends the arguments of a task with each of its errors."""

    @shop.app.task(name="shop.letter")
    def letter(text, *, reader):
        raise ValueError("no stamp")

    letter.delay("letter-to-ada", reader="ada@shop.test")
    shop.run()

    report = scout.report()
    assert (1, 1) == (len(report.traces), len(report.error_groups))
    sent = encode(report)
    assert b"no stamp" in sent
    for secret in (b"letter-to-ada", b"ada@shop.test"):
        assert secret not in sent


@pytest.mark.scout(plugin_options={"celery": {"record_arguments": True}})
def test_arguments_are_recorded_by_their_names(scout, shop):
    @shop.app.task(name="shop.login", bind=True)
    def login(self, user, password, *rest, **others): ...

    login.apply(("Ada", "secret", "rest"), {"api_key": "secret", "age": 36})
    (trace,) = scout.traces()

    found = {name: value for name, value in trace.tags.items() if name.startswith("argument.")}
    expected = {"user": "Ada", "password": "[FILTERED]", "api_key": "[FILTERED]", "age": 36}
    assert {f"argument.{name}": value for name, value in expected.items()} == found


def test_eager_tasks_are_spans_of_the_request_each_in_its_publisher(scout, shop):
    shop.app.conf.task_always_eager = True
    order(chain(shop.task["add"].s(1, 2), shop.task["add"].s(3)).delay)
    (request,) = scout.transactions

    assert ["Job/shop.add", "Job/shop.add"] == [
        span.operation for span in request.spans if span.operation.startswith("Job/")
    ]
    assert not request.is_error


def test_install_starts_the_agent_when_the_settings_are_loaded_and_not_before(monkeypatch, tmp_path):
    monkeypatch.setenv("SCOUT_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("SCOUT_PLUGINS_AUTOLOAD", "false")
    app = make_app("install")
    started = []
    monkeypatch.setattr(scout_core, "start_from_settings", lambda *given: started.append(given))
    app.conf.scout_name = "Shop"
    install(app)
    assert not app.configured
    assert [] == started

    app.conf.task_default_queue  # noqa: B018  # reading one loads them all
    assert [("Celery", {"SCOUT_NAME": "Shop"})] == started
    install(app)
    assert 2 == len(started)
    app.close()
