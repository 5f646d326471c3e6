"""Trace groups: one trace of each, a bounded number, by age of the group; and the reserved places of failed transactions."""

from __future__ import annotations

import pytest

from scout_core import transaction
from scout_core.sending import choice
from scout_core.sending.choice import MOST_GROUPS
from scout_core.testing import recording
from tests.workbench import POLICIES, plugin, record_lasting

ONLY_THESE = {"plugins_autoload": False, "plugins_enable": (*POLICIES, "error_traces")}


def groups_of(scout) -> list[str]:
    return sorted(trace.group for trace in scout.traces())


by_customer = plugin("by_customer", trace_group=lambda transaction: transaction.tags.get("customer"))


def test_without_a_plugin_the_group_is_the_name():
    with recording(plugins_autoload=False) as scout:
        record_lasting("Controller/home")
        record_lasting("Job/mail")
        traces = scout.traces()

    assert [("Controller/home", "Controller/home", ""), ("Job/mail", "Job/mail", "")] == [
        (trace.name, trace.group, trace.grouped_by) for trace in traces
    ]


def test_the_slowest_of_each_customer_is_kept_whatever_its_name():
    with recording(**ONLY_THESE, plugins=[by_customer], policies={"percentile": 0, "percent": 0}) as scout:
        for number, customer in enumerate(("acme", "mega", "acme", "acme", "mega")):
            record_lasting(f"Controller/page{number}", 1 + number, customer=customer)
        record_lasting("Controller/anonymous")
        kept = {(trace.group, trace.grouped_by, trace.name) for trace in scout.traces()}

    assert {
        ("acme", "by_customer", "Controller/page3"),
        ("mega", "by_customer", "Controller/page4"),
        ("Controller/anonymous", "", "Controller/anonymous"),
    } == kept


def test_web_requests_and_jobs_of_one_group_do_not_compete():
    with recording(plugins_autoload=False, plugins=[by_customer]) as scout:
        record_lasting("Controller/home", customer="acme")
        record_lasting("Job/mail", customer="acme")
        names = [trace.name for trace in scout.traces()]

    assert ["Controller/home", "Job/mail"] == names


def test_the_number_of_traces_stays_bounded_and_the_groups_without_one_are_counted():
    with recording(**ONLY_THESE, plugins=[by_customer], traces_per_period=10) as scout:
        for number in range(700):
            record_lasting("Controller/home", customer=f"customer {number}")
        first = scout.report()
        for number in range(30):
            record_lasting("Controller/home", customer=f"customer {number}")
        second = scout.report()

    assert (10, 10) == (len(first.traces), len(second.traces))
    assert [690, 710] == [
        counters.groups_left_out for report in (first, second) for counters in report.counters.values()
    ]


def test_age_is_that_of_the_group(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(choice, "monotonic", lambda: now[0])
    ages = []
    with recording(**ONLY_THESE, plugins=[by_customer]) as scout:
        for customer, seconds in (("acme", 0), ("mega", 60), ("acme", 240), (None, 120), ("acme", 0), (None, 60)):
            now[0] += seconds
            record_lasting("Controller/home", **({"customer": customer} if customer else {}))
            (trace,) = scout.traces()
            ages.append((trace.group, trace.seen["seconds_since_kept"], trace.policies["age"]))

    assert [
        ("acme", 0.0, 0.0),
        ("mega", 60.0, 0.25),  # none kept: since the name was recorded
        ("acme", 300.0, 1.25),
        ("Controller/home", 420.0, 1.75),  # that of a group leaves the name's own
        ("acme", 120.0, 0.5),
        ("Controller/home", 60.0, 0.25),
    ] == ages


def test_the_age_of_a_group_of_web_requests_is_not_that_of_its_jobs(monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(choice, "monotonic", lambda: now[0])
    with recording(**ONLY_THESE, plugins=[by_customer]) as scout:
        ages = []
        for operation in ("Controller/home", "Job/mail", "Controller/home", "Job/mail"):
            record_lasting(operation, customer="acme")
            ages += [trace.seen["seconds_since_kept"] for trace in scout.traces()]
            now[0] += 60

    assert [0.0, 0.0, 120.0, 120.0] == ages


def test_the_age_of_groups_that_were_kept_long_ago_is_forgotten():
    with recording(**ONLY_THESE, plugins=[by_customer], traces_per_period=500) as scout:
        for period in range(4):
            for number in range(400):
                record_lasting("Controller/home", customer=f"customer {period} {number}")
            scout.report()
        ages = scout.agent.recorder.evaluation.choice._kept_at

        assert MOST_GROUPS == len(ages)
        assert "customer 3 399" in {group.text for _, group in ages}


def test_each_period_keeps_a_trace_of_the_same_group():
    with recording(**ONLY_THESE, plugins=[by_customer]) as scout:
        kept = []
        for _ in range(2):
            record_lasting("Controller/home", customer="acme")
            kept.append(groups_of(scout))

    assert [["acme"], ["acme"]] == kept


def test_a_rename_and_tags_at_the_end_decide_on_the_group():
    with recording(**ONLY_THESE, plugins=[by_customer]) as scout:
        with transaction("Controller/routing") as web:
            web.tag("customer", "acme")
            web.rename("Controller/home")
        (trace,) = scout.traces()

    assert ("Controller/home", "acme") == (trace.name, trace.group)


def test_plugins_order_decides_which_plugin_is_asked_first():
    other = plugin("zones", trace_group=lambda transaction: transaction.tags.get("zone"))
    for order, group in (([], "acme"), (["zones"], "north")):
        with recording(**ONLY_THESE, plugins=[by_customer, other], plugins_order=order) as scout:
            record_lasting("Controller/home", customer="acme", zone="north")
            assert [group] == groups_of(scout)


def test_names_beyond_the_limit_share_the_group_other():
    with recording(**ONLY_THESE, max_names=1) as scout:
        for number in range(4):
            record_lasting(f"Controller/page{number}")

        assert ["Controller/other", "Controller/page0"] == groups_of(scout)


SLOW = [f"Controller/report{number}" for number in range(30)]
PERIODS = 20


def periods_with_errors(**settings) -> tuple[int, int, int]:
    """
    Record periods with very many slow requests and, in all of them together, 319 exceptions of one fast endpoint.

    Returns:
        The number of kept traces, of those of failed requests, and of periods that kept one.
    """
    kept = errors = periods = raised = 0
    with recording(**{**ONLY_THESE, **settings}) as scout:
        for _ in range(PERIODS):
            for number, name in enumerate(SLOW * 4):
                record_lasting(name, 2.0 + number % 7)
                if number % 7 == 0 and raised < 319:
                    raised += 1
                    record_lasting("Controller/cart", 0.01, failing=KeyError)
                    record_lasting("Controller/cart", 0.5)
            traces = scout.traces()
            failed = [trace for trace in traces if trace.is_error]
            kept, errors, periods = kept + len(traces), errors + len(failed), periods + bool(failed)
    assert 319 == raised
    return kept, errors, periods


def test_each_period_keeps_a_failed_transaction_of_an_endpoint_that_is_fast_when_it_fails():
    without = periods_with_errors(plugins_enable=POLICIES)
    kept, errors, periods = periods_with_errors()

    assert (200, True) == (without[0], without[1] <= 2), "as it would be without the plugin"
    assert (200, 18, 18) == (kept, errors, periods), "18 requests fail in each period, until all 319 have"


def test_errors_of_many_endpoints_leave_places_to_slow_requests_and_the_reverse():
    for slow, fast in ((9.0, 0.1), (0.1, 9.0)):
        with recording(**ONLY_THESE) as scout:
            for number in range(40):
                record_lasting(f"Controller/slow{number}", slow)
                record_lasting(f"Controller/bad{number}", fast, failing=ValueError)
            traces = scout.traces()

        assert [5, 5] == [sum(trace.is_error is failed for trace in traces) for failed in (True, False)]
        assert {"", "error_traces"} == {trace.grouped_by for trace in traces}


def test_the_share_of_errors_can_be_set():
    with recording(**ONLY_THESE, reserved_places="error_traces:0.2") as scout:
        for number in range(40):
            record_lasting(f"Controller/slow{number}", 0.1)
            record_lasting(f"Controller/bad{number}", 60.0, failing=ValueError)
        assert 2 == sum(trace.is_error for trace in scout.traces())
        scout.agent.add_settings({"reserved_places": "error_traces:100"})
        for number in range(40):
            record_lasting(f"Controller/slow{number}", 60.0)
            record_lasting(f"Controller/bad{number}", 0.1, failing=ValueError)
        assert 10 == sum(trace.is_error for trace in scout.traces())


def test_failures_that_a_framework_answered_are_errors_too_and_have_one_place_for_each_name():
    with recording(**ONLY_THESE) as scout:
        for _ in range(3):
            record_lasting("Controller/cart", error=True)
            record_lasting("Controller/cart", failing=KeyError)
            record_lasting("Controller/cart")
            record_lasting("Job/mail", failing=KeyError)

        assert ["Controller/cart", "errors of Controller/cart", "errors of Job/mail"] == groups_of(scout)


def test_another_plugin_can_group_errors_and_leave_others_to_this_one():
    def trace_group(transaction):
        return f"{transaction.operation} {transaction.error.__name__}" if transaction.error else None

    with recording(**ONLY_THESE, plugins=[plugin("by_class", trace_group=trace_group)]) as scout:
        for kind in (KeyError, ValueError, KeyError):
            record_lasting("Controller/cart", failing=kind)
        record_lasting("Controller/cart", error=True)

        assert ["Controller/cart KeyError", "Controller/cart ValueError", "errors of Controller/cart"] == groups_of(
            scout
        )


@pytest.mark.parametrize("switched_off", [{"plugins_enable": POLICIES}, {"plugins_disable": "error_traces,collector"}])
def test_without_the_plugin_errors_compete_by_name(switched_off):
    with recording(**{**ONLY_THESE, **switched_off}) as scout:
        record_lasting("Controller/cart", failing=KeyError)
        record_lasting("Controller/cart")

        assert ["Controller/cart"] == groups_of(scout)


def test_a_share_for_a_plugin_that_does_not_exist_is_reported():
    with recording(**ONLY_THESE, reserved_places={"eror_traces": 0.5}) as scout:
        problems = [str(problem) for problem in scout.agent.plugins.problems]

    assert [
        "reserved_places (code) names 'eror_traces', which is not a plugin here; did you mean error_traces?"
    ] == problems
