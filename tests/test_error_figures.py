"""Errors counted by group over all transactions: by endpoint, within limits, with a filtered example now and then."""

from __future__ import annotations

from contextlib import suppress

import pytest

from scout_core import WebRequest, record_error, transaction
from scout_core.measuring import error_figures
from scout_core.measuring.error_figures import EXAMPLE_SECONDS, MOST_ENDPOINTS, MOST_EXAMPLES, MOST_GROUPS, MOST_KNOWN
from scout_core.measuring.report import ErrorGroupMetrics
from scout_core.recording.errors.recorded import MOST_ERRORS
from scout_core.testing import recording

WITHOUT_PLUGINS = {"plugins_autoload": False}
pytestmark = pytest.mark.scout(**WITHOUT_PLUGINS)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(error_figures, "time", clock)
    return clock


def refuse(order: int = 1) -> None:
    raise ValueError(f"order {order} is paid")


def visit(name: str = "Controller/pay", act=refuse, **tags) -> None:
    with suppress(Exception), transaction(name, **tags):
        act()


def made(number: int):
    """Return a function that raises in a group of its own."""
    kind = type(f"E{chr(97 + number // 26)}{chr(97 + number % 26)}x", (Exception,), {})

    def act() -> None:
        raise kind

    return act


def groups_of(scout) -> list[ErrorGroupMetrics]:
    return list(scout.report().error_groups)


def test_every_error_is_counted_by_group_and_endpoint_though_few_traces_are_kept(clock):
    with recording(**WITHOUT_PLUGINS, traces_per_period=1) as scout:
        for order in range(30):
            visit("Controller/pay" if order % 3 else "Job/collect", lambda order=order: refuse(order))
            scout.agent.recorder.work()
            clock.now += 1
        report = scout.report()

    (group,) = report.error_groups
    assert (30, 0, {"Controller/pay": 20, "Job/collect": 10}) == (group.count, group.handled, group.endpoints)
    assert ("ValueError", "order 29 is paid") == (group.exception, group.message)
    assert (1_700_000_000, 1_700_000_029) == (group.first, group.last)
    assert group.where.endswith(":refuse")
    assert group.title == f"ValueError in {group.where}"
    assert 2 == len(report.traces)


def test_handled_errors_are_counted_as_such(scout):
    def both() -> None:
        record_error(KeyError("plan"))
        refuse()

    visit(act=both)
    handled, unhandled = sorted(groups_of(scout), key=lambda group: -group.handled)

    assert [("KeyError", 1, 1), ("ValueError", 1, 0)] == [
        (group.exception, group.count, group.handled) for group in (handled, unhandled)
    ]


def test_a_kept_trace_of_the_group_is_named(scout):
    visit()
    report = scout.report()

    (group,), (trace,) = report.error_groups, report.traces
    assert (trace.id, trace.error.group) == (group.trace, group.group)


def test_a_group_without_a_kept_trace_names_none():
    with recording(**WITHOUT_PLUGINS, traces_per_period=0) as scout:
        visit()
        (group,) = groups_of(scout)

    assert ("", 16) == (group.trace, len(group.example.trace))


def test_an_example_has_the_facts_of_its_request_filtered(scout):
    with suppress(ValueError), transaction("Controller/pay", plan="gold", password="hunter2") as web:
        web.request = WebRequest("/pay", "card=4111111111111111&token=s3cret&page=2", remote_address="10.0.0.7")
        raise ValueError("no 'ann@example.com'")
    (group,) = groups_of(scout)

    example = group.example
    assert ("Controller/pay", "no ?") == (example.name, example.error.message)
    assert {
        "plan": "gold",
        "password": "[FILTERED]",
        "path": "/pay?card=[FILTERED]&page=2&token=[FILTERED]",
        "user_ip": "10.0.0.7",
    } == example.tags
    assert "test_an_example" in example.error.frames[0][2]
    assert example.error.group == group.group


def test_a_group_has_an_example_in_its_first_report_and_again_after_a_while(clock, scout):
    found = []
    for seconds in (0, 60, EXAMPLE_SECONDS - 61, 1, 60):
        clock.now += seconds
        visit()
        (group,) = groups_of(scout)
        found.append(group.example is not None)

    assert [True, False, False, True, False] == found


def test_a_clock_that_is_set_back_does_not_keep_examples_away(clock, scout):
    visit()
    groups_of(scout)
    clock.now -= 86_400
    visit()

    (group,) = groups_of(scout)
    assert group.example is not None


def test_a_clock_that_is_set_back_in_a_period_leaves_first_before_last(clock, scout):
    visit()
    scout.agent.recorder.work()
    clock.now -= 60
    visit()

    (group,) = groups_of(scout)
    assert (clock.now, clock.now + 60) == (group.first, group.last)


def test_only_the_first_error_of_a_period_is_the_example(clock, scout):
    visit(act=lambda: refuse(1))
    visit(act=lambda: refuse(2))

    (group,) = groups_of(scout)
    assert ("order 1 is paid", "order 2 is paid") == (group.example.error.message, group.message)


def test_failures_without_an_exception_are_a_group_of_their_endpoint(scout):
    for _ in range(2):
        with transaction("Controller/pay") as web:
            web.tag("error", True)

    (group,) = groups_of(scout)
    assert ("", "Controller/pay", 2, None) == (group.exception, group.where, group.count, group.example)
    assert "no exception in Controller/pay" == group.title


def test_a_failure_whose_error_was_handled_is_no_group_of_its_own(scout):
    with transaction("Controller/pay") as web:
        record_error(KeyError("plan"))
        web.tag("error", True)

    (group,) = groups_of(scout)
    assert "KeyError" == group.exception


def test_further_groups_are_counted_under_other(scout):
    for number in range(MOST_GROUPS + 30):
        visit(act=made(number))
    report = scout.report()

    other = report.error_groups[-1]
    assert (MOST_GROUPS + 1, "other", 30, None) == (len(report.error_groups), other.group, other.count, other.example)
    assert ("other", "", "") == (other.title, other.exception, other.message)
    assert 30 == report.counters[""].errors_merged


def test_further_endpoints_of_a_group_are_counted_under_other(scout):
    for number in range(MOST_ENDPOINTS + 5):
        visit(f"Controller/page{number}")

    (group,) = groups_of(scout)
    assert (MOST_ENDPOINTS + 1, 5) == (len(group.endpoints), group.endpoints["other"])


def test_errors_beyond_the_limit_of_a_transaction_are_counted_under_other(scout):
    def many() -> None:
        for _ in range(MOST_ERRORS + 7):
            record_error(KeyError("plan"))

    visit(act=many)
    report = scout.report()

    assert [("KeyError", MOST_ERRORS), ("", 7)] == [(group.exception, group.count) for group in report.error_groups]
    assert 7 == report.counters[""].errors_merged


def test_the_examples_of_a_period_are_bounded_and_the_others_follow(scout):
    kinds = [made(number) for number in range(MOST_EXAMPLES + 10)]
    found = []
    for _ in range(2):
        for act in kinds:
            visit(act=act)
        found.append(sum(group.example is not None for group in groups_of(scout)))

    assert [MOST_EXAMPLES, 10] == found


def test_the_memory_for_examples_is_bounded(scout):
    for number in range(26 * 26):
        visit(act=made(number))
        if number % 100 == 99:
            groups_of(scout)

    known = scout.agent.recorder.evaluation.choice._errors._example_at
    assert len(known) <= MOST_KNOWN


def test_a_period_without_errors_has_no_groups(scout):
    visit()
    groups_of(scout)
    visit(act=lambda: None)

    assert [] == groups_of(scout)


def test_without_errors_enabled_nothing_is_grouped():
    with recording(**WITHOUT_PLUGINS, errors_enabled=False) as scout:
        visit()
        report = scout.report()

    assert ((), 1) == (report.error_groups, report.transactions[0].errors)


def test_ignored_exceptions_are_in_no_group():
    with recording(**WITHOUT_PLUGINS, errors_ignored_exceptions=[LookupError]) as scout:
        visit(act=lambda: {}["plan"])

        assert [] == groups_of(scout)


def test_a_transaction_with_spoiled_facts_is_counted_once_and_its_error_too(scout):
    with suppress(ValueError), transaction("Controller/pay") as web:
        web.id = "spoiled"
        refuse()
    report = scout.report()

    assert [1] == [it.count for it in report.transactions]
    assert 1 == sum(group.count for group in report.error_groups)
