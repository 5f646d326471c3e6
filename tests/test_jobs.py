"""Background jobs: their facts, their latency, how they ended, and the headers of their messages."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import numpy
import pytest

from scout_core import current_transaction, span, transaction
from scout_core.boundary.guard import Guard
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.instruments.jobs import (
    ABORTED,
    FAILURE,
    IGNORED,
    REJECTED,
    RETRY,
    REVOKED,
    SENT,
    SUCCESS,
    TIMED_OUT,
    JobTransaction,
    carried,
    job,
    message_headers,
    stamp,
    stamped,
)  # fmt: skip
from scout_core.testing import recording

ENDINGS = {"tests.test_jobs.Again": RETRY, "tests.test_jobs.TooLong": TIMED_OUT, "tests.test_jobs.Skip": IGNORED}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
USERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "shop=1"}
BEGAN = 1_700_000_000.0


class Again(Exception):
    """The library runs the job again."""


class AgainSoon(Again):
    """A class that the library derives."""


class Skip(Exception):
    """The task asks for no result."""


class TooLong(Exception):
    """The time limit of the library."""


@pytest.fixture
def began(monkeypatch):
    """Stop the clock that transactions are dated by."""
    monkeypatch.setattr("scout_core.recording.transaction.time", lambda: BEGAN)
    monkeypatch.setattr("scout_core.instruments.jobs.messages.time", lambda: BEGAN)


def test_a_job_has_the_facts_that_are_known(scout):
    with job("mail.send", queue="low", task_id=17, attempt=2, priority=5, exchange="mail"):
        pass
    with job("Job/mail.send"):
        pass

    first, second = scout.transactions
    assert ("Job/mail.send", "Job/mail.send") == (first.operation, second.operation)
    facts = {"exchange": "mail", "queue": "low", "task_id": 17, "attempt": 2, "priority": 5, "outcome": "success"}
    assert facts == first.tags
    assert {"outcome": "success"} == second.tags
    assert (None, None) == (first.queue_time, second.queue_time)


@pytest.mark.parametrize(("name", "expected"), [("", "Job/unnamed"), ("Job/", "Job/unnamed"), (5, "Job/<int>")])
def test_a_job_has_a_name_in_any_case(scout, name, expected):
    with job(name):
        pass

    assert [expected] == scout.operations


UTC_DATE = datetime.fromtimestamp(BEGAN - 2, timezone.utc)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"queued_at": BEGAN - 2}, 2.0),
        ({"queued_at": int(BEGAN) - 2}, 2.0),
        ({"queued_at": Decimal(BEGAN - 2)}, 2.0),
        ({"queued_at": Fraction(BEGAN - 2)}, 2.0),
        ({"queued_at": numpy.float64(BEGAN - 2)}, 2.0),
        ({"eta": numpy.longdouble(BEGAN - 2)}, 2.0),
        ({"queued_at": numpy.int64(BEGAN) - 2}, 2.0),
        ({"queued_at": True}, None),
        ({"queued_at": 2j}, None),
        ({"queued_at": numpy.datetime64("2026-01-01")}, None),
        ({"queued_at": UTC_DATE}, 2.0),
        ({"queued_at": UTC_DATE.astimezone(timezone(timedelta(hours=5)))}, 2.0),
        ({"queued_at": UTC_DATE.replace(tzinfo=None)}, 2.0),
        ({"headers": {SENT: str(BEGAN - 3)}}, 3.0),
        ({"headers": {"Scout-Sent": f"{BEGAN - 3} 00f067aa0ba902b7".encode()}}, 3.0),
        ({"headers": [(b"scout-sent", str(BEGAN - 3).encode())]}, 3.0),
        ({"headers": {SENT: str(BEGAN - 60)}, "eta": BEGAN - 1}, 1.0),
        ({"headers": {SENT: str(BEGAN - 60)}, "eta": UTC_DATE}, 2.0),
        ({"headers": {SENT: str(BEGAN - 1)}, "eta": BEGAN - 60}, 1.0),
        ({"headers": {SENT: str(BEGAN - 60)}, "queued_at": BEGAN - 5, "eta": BEGAN - 9}, 5.0),
        ({"headers": {}}, None),
        ({"headers": {SENT: "yesterday"}}, None),
        ({"headers": {SENT: "1" * 4_000}}, None),
        ({"headers": {SENT: "nan"}}, None),
        ({"headers": {SENT: None}}, None),
        ({"headers": 3}, None),
        ({"queued_at": "yesterday"}, None),
    ],
)
def test_a_job_waits_from_the_latest_time_that_is_known(scout, began, facts, expected):
    with job("mail.send", **facts):
        pass

    assert expected == scout.transaction.queue_time


@pytest.mark.parametrize("queued_at", [BEGAN + 0.001, BEGAN + 86_400, BEGAN * 1_000, 0.0, BEGAN - 11 * 365.25 * 86_400])
def test_a_queue_time_that_cannot_be_right_is_counted_and_not_used(scout, began, queued_at):
    """A negative one, as when clocks differ, and one of decades, as from a time in another unit."""
    with job("mail.send", queued_at=queued_at):
        pass
    with job("mail.send", queued_at=BEGAN - 864_000):
        pass

    assert [None, 864_000.0] == [recorded.queue_time for recorded in scout.transactions]
    assert 1 == scout.agent.counters().queue_times_refused


@pytest.mark.parametrize(
    "facts",
    [
        *({"headers": {SENT: text}} for text in ("nan", "inf", "-inf", "1e400", "NaN 00f067aa0ba902b7", b"Infinity")),
        *({key: time} for key in ("queued_at", "eta") for time in (float("nan"), float("inf"), -float("inf"))),
        {"queued_at": Decimal("NaN")},
        {"queued_at": Decimal("1e400")},
        {"queued_at": 10**400},
        {"queued_at": numpy.float32("nan")},
        {"queued_at": numpy.float64("inf")},
    ],
    ids=str,
)
def test_a_time_that_is_not_finite_is_a_refused_queue_time_and_changes_nothing_else(scout, began, caplog, facts):
    """Anybody who may publish could otherwise switch on the examination of every transaction."""
    with job("mail.send", queue="low", **facts):
        pass

    assert (None, {"queue": "low", "outcome": "success"}) == (scout.transaction.queue_time, scout.transaction.tags)
    scout.report()
    counters = scout.agent.counters()
    assert (1, 0, []) == (counters.queue_times_refused, counters.invalid_values, caplog.messages)


def test_a_time_that_is_not_finite_does_not_hide_another_one(scout, began):
    with job("mail.send", headers={SENT: "inf"}, queued_at=BEGAN - 2, eta=float("nan")):
        pass

    assert (2.0, 0) == (scout.transaction.queue_time, scout.agent.counters().queue_times_refused)


class Broken(tzinfo):
    """A time zone of the application that raises."""

    def utcoffset(self, moment):
        raise RuntimeError("offset")


class BrokenHeaders(dict):
    """Headers of the application whose methods raise."""

    def items(self):
        raise RuntimeError("items")


@pytest.mark.parametrize(
    "facts",
    [{"queued_at": datetime(2026, 1, 1, tzinfo=Broken())}, {"headers": BrokenHeaders(a=1)}, {"headers": object()}],
)
def test_facts_that_cannot_be_read_do_not_cost_the_job(scout, facts):
    with job("mail.send", queue="low", **facts):
        pass

    assert {"queue": "low", "outcome": "success"} == scout.transaction.tags
    assert 1 <= scout.agent.counters().invalid_values


@pytest.mark.parametrize(
    ("raised", "outcome", "error", "errors"),
    [
        (ValueError, FAILURE, "ValueError", [False]),
        (TooLong, TIMED_OUT, "tests.test_jobs.TooLong", [False]),
        (Again, RETRY, None, []),
        (AgainSoon, RETRY, None, []),
        (Skip, IGNORED, None, []),
        (KeyboardInterrupt, ABORTED, None, []),
        (SystemExit, ABORTED, None, []),
    ],
)
def test_the_exception_that_leaves_a_job_decides_on_its_outcome(scout, raised, outcome, error, errors):
    described = job("mail.send", endings=ENDINGS)
    problem = raised()
    with pytest.raises(raised) as passed, described:
        raise problem

    recorded = scout.transaction
    assert passed.value is problem
    assert ({"outcome": outcome}, error) == (recorded.tags, recorded.error)
    assert (bool(errors), errors) == (recorded.is_error, [found.handled for found in recorded.errors])


@pytest.mark.parametrize(
    ("outcome", "caught", "is_error", "errors"),
    [
        (SUCCESS, None, False, []),
        (FAILURE, ValueError("no"), True, [False]),
        (FAILURE, Skip(), True, [False]),
        (FAILURE, None, True, []),
        (TIMED_OUT, TooLong(), True, [False]),
        (RETRY, ValueError("no"), False, [True]),
        (RETRY, Again(), False, []),
        (IGNORED, Skip(), False, []),
        (REJECTED, None, False, []),
        (REVOKED, None, False, []),
    ],
)
def test_a_library_that_catches_everything_reports_how_a_job_ended(scout, outcome, caught, is_error, errors):
    with job("mail.send", endings=ENDINGS) as described:
        described.settle(FAILURE, caught)
        described.settle(outcome)

    recorded = scout.transaction
    assert (outcome, is_error) == (recorded.tags["outcome"], recorded.is_error)
    assert errors == [found.handled for found in recorded.errors]
    assert described.own_error is None


@pytest.mark.parametrize(
    ("raised", "outcome"), [(ValueError, RETRY), (TooLong, TIMED_OUT), (KeyboardInterrupt, ABORTED)]
)
def test_an_exception_while_attempts_are_left_is_a_retry(scout, raised, outcome):
    with pytest.raises(raised), job("mail.send", endings=ENDINGS, has_retries=True):
        raise raised

    recorded = scout.transaction
    assert (outcome, outcome == TIMED_OUT) == (recorded.tags["outcome"], recorded.is_error)
    assert ([True] if outcome == RETRY else []) == [found.handled for found in recorded.errors if found.handled]


def test_an_error_that_is_tried_again_is_recorded_and_fails_nothing(scout):
    """The library reports a retry, and raises what the task raised."""
    with pytest.raises(ValueError, match="busy"), job("mail.send", endings=ENDINGS) as described:
        described.settle(RETRY)
        raise ValueError("busy")

    recorded = scout.transaction
    assert ("retry", False, None) == (recorded.tags["outcome"], recorded.is_error, recorded.error)
    assert [("busy", True)] == [(found.message, found.handled) for found in recorded.errors]


def test_the_tag_outcome_of_the_application_stays(scout):
    with job("mail.send"):
        current_transaction().tag("outcome", "3 mails")

    assert {"outcome": "3 mails"} == scout.transaction.tags


def test_a_job_that_marks_itself_as_failed_has_failed(scout):
    with job("mail.send"):
        current_transaction().tag("error", True)

    assert {"error": True, "outcome": "failure"} == scout.transaction.tags


def test_a_job_inside_a_request_is_a_span_that_does_not_fail_it(scout):
    """Eager tasks run where they are called."""
    with transaction("Controller/shop"):
        with job("mail.send", queue="low"):
            pass
        with job("mail.send") as described:
            described.settle(FAILURE, ValueError("no"))
        with pytest.raises(Skip), job("mail.send", endings=ENDINGS):
            raise Skip

    request = scout.transaction
    assert ("Controller/shop", False) == (request.operation, request.is_error)
    assert [{"queue": "low", "outcome": "success"}, {"outcome": "failure"}, {"outcome": "ignored"}] == [
        eager.tags for eager in request.spans
    ]
    assert [None, "ValueError", None] == [eager.error for eager in request.spans]
    assert ["Job/mail.send"] * 3 == [eager.operation for eager in request.spans]


@pytest.mark.parametrize("outcome", [FAILURE, TIMED_OUT])
@pytest.mark.parametrize("ignored", [[], [KeyError]])
def test_a_job_inside_a_request_has_the_outcome_that_the_library_reports(outcome, ignored):
    with recording(plugins_autoload=False, errors_ignored_exceptions=ignored) as scout:
        with transaction("Controller/home"), job("mail.send") as inner:
            inner.settle(outcome, KeyError("address"))

        (recorded,) = scout.transaction.spans
        counted = scout.agent.counters()
    assert (outcome, None if ignored else "KeyError") == (recorded.tags["outcome"], recorded.error)
    assert (0, len(ignored)) == (counted.invalid_values, counted.errors_ignored)


def test_a_job_that_is_kept_open_ends_with_end(scout):
    with job("mail.send", endings=ENDINGS).keep_open() as late:
        pass
    assert [] == scout.transactions
    late.settle(REVOKED).end()
    late.settle(FAILURE).end()
    with pytest.raises(Again), job("mail.again", endings=ENDINGS).keep_open():
        raise Again

    assert [("Job/mail.send", "revoked"), ("Job/mail.again", "retry")] == [
        (recorded.operation, recorded.tags["outcome"]) for recorded in scout.transactions
    ]


def test_a_job_is_also_a_decorator(scout):
    described = JobTransaction("Job/nightly")
    described.endings = ENDINGS

    @described
    def nightly():
        raise Skip

    for _ in range(2):
        with pytest.raises(Skip):
            nightly()

    assert [{"outcome": "ignored"}] * 2 == [recorded.tags for recorded in scout.transactions]


def test_a_describer_may_return_a_job_which_is_not_guarded(scout):
    described: list[JobTransaction] = []

    def describe(number):
        described.append(job("mail.send", endings=ENDINGS))
        return described[-1]

    def run(number):
        assert current_transaction() is described[-1]
        return 10 // number

    wrapped = describing_wrapper(run, Guard("mail", "mail", describe), is_root=True)
    assert 5 == wrapped(2)
    with pytest.raises(ZeroDivisionError):
        wrapped(0)

    assert ["success", "failure"] == [recorded.tags["outcome"] for recorded in scout.transactions]


def test_nothing_happens_without_an_agent():
    headers = {"a": 1}
    stamp(headers)
    with job("mail.send", queue="low") as described:
        described.settle(FAILURE, ValueError())

    assert ({"a": 1}, {}, headers) == (headers, message_headers(), stamped(headers))
    assert headers is stamped(headers)


def test_a_job_continues_the_trace_of_its_publisher_and_is_a_transaction_of_its_own(scout):
    with transaction("Controller/shop"), span("Queue/Publish") as publish:
        headers = message_headers()
        published_by = publish.span_id
    with job("mail.send", headers=headers):
        pass

    web, mail = scout.transactions
    assert (web.trace_id, published_by) == (mail.trace_id, mail.parent_span_id)
    assert web.span_id != mail.span_id
    assert 0 <= mail.queue_time < 60


def test_a_job_that_a_scheduler_repeats_begins_a_trace(scout):
    with transaction("Job/scheduler"):
        headers = message_headers()
    with job("nightly", headers=headers, begins_trace=True):
        pass

    scheduler, nightly = scout.transactions
    assert scheduler.trace_id != nightly.trace_id
    assert "" == nightly.parent_span_id
    assert nightly.queue_time is not None


def test_outside_a_transaction_a_message_has_only_its_time(scout):
    assert [SENT] == list(message_headers())


def test_each_publish_replaces_the_headers_of_the_one_before(scout):
    """A library copies the headers of a job into those of its retry."""
    message = {"a": 1}
    seen = []
    for name in ("first", "second"):
        with transaction(f"Job/{name}") as publisher:
            stamp(message)
            seen.append((publisher.span_id, dict(message)))
    for span_id, headers in seen:
        assert ["a", SENT, "traceparent"] == sorted(headers)
        assert span_id == headers["traceparent"][36:52] == headers[SENT].partition(" ")[2]


def test_a_job_put_back_outside_a_transaction_keeps_its_publisher(scout, monkeypatch):
    """As RQ does with the retry of a job, when its call is over."""
    message = {}
    with transaction("Job/first") as publisher:
        stamp(message)
    monkeypatch.setattr("scout_core.instruments.jobs.messages.time", lambda: BEGAN)
    parent = message["traceparent"]
    for _ in range(2):
        stamp(message)
        assert {"traceparent": parent, SENT: f"{BEGAN} {publisher.span_id}"} == message
    with transaction("Job/second") as publisher:
        stamp(message)

    assert publisher.span_id == message["traceparent"][36:52]


@pytest.mark.parametrize(
    "own",
    [USERS, {"Traceparent": USERS["traceparent"]}, {b"traceparent": USERS["traceparent"]}, {"tracestate": "shop=1"}],
)
def test_the_trace_that_the_application_has_set_stays(scout, own):
    message = dict(own)
    for name in ("first", "second"):
        with transaction(f"Job/{name}"):
            stamp(message)

    sent = message.pop(SENT)
    assert own == message
    assert "" == sent.partition(" ")[2]


def test_the_state_of_the_trace_goes_with_it(scout):
    message = {}
    with transaction("Job/first").continue_from(USERS):
        stamp(message)
    assert "shop=1" == message["tracestate"]
    with transaction("Job/second"):
        stamp(message)

    assert "tracestate" not in message


def test_a_trace_that_the_application_sets_later_stays(scout):
    message = {}
    with transaction("Job/first"):
        stamp(message)
        message.update(USERS)
        stamp(message)

    assert USERS["traceparent"] == message["traceparent"]


class Refusing(OrderedDict):
    """Headers that cannot be changed."""

    def update(self, *args, **kwargs):
        raise RuntimeError("read only")


@pytest.mark.parametrize("message", [Refusing(a=1), MappingProxyType({"a": 1}), None, 3])
def test_headers_that_cannot_be_changed_stay_and_are_counted(scout, message):
    with transaction("Job/first"):
        stamp(message)

    assert 1 == scout.agent.counters().invalid_values


@pytest.mark.parametrize("message", [None, {}, {"a": 1}, OrderedDict(a=1), MappingProxyType({"a": 1})])
def test_stamped_returns_a_copy(scout, message):
    before = None if message is None else dict(message)
    with transaction("Job/first"):
        sent = stamped(message)

    assert before == (None if message is None else dict(message))
    assert {*(before or {}), SENT, "traceparent"} == sent.keys()


def test_stamped_returns_what_it_cannot_copy(scout):
    message = object()
    with transaction("Job/first"):
        assert message is stamped(message)


def test_a_library_that_publishes_a_message_again_carries_our_headers(scout):
    with transaction("Job/first"):
        message = {"a": 1}
        stamp(message)
    found = carried(message)

    assert [SENT, "traceparent"] == sorted(found)
    assert found == {name: message[name] for name in found} == carried(message.items())
    assert {} == carried(None) == carried({"a": 1}) == carried(object())


def test_an_ignored_publisher_sends_its_trace_without_the_flag():
    with recording(plugins_disable=("collector",)) as scout:
        with transaction("Controller/health") as health:
            health.ignore()
            headers = message_headers()
        with job("mail.send", headers=headers) as mail:
            pass

        assert headers["traceparent"].endswith(("-00", "-02"))
        assert 1 == len(scout.transactions)
        assert mail.trace_id == headers["traceparent"][3:35]
