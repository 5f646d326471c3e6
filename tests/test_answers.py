"""The conformance rules `answers` and `gauges`: plugins whose hooks do one thing wrong."""

from __future__ import annotations

import time
from collections import deque
from types import ModuleType

import pytest

from scout_core import hookimpl, hookspecs
from scout_core.testing.rules.answers import check_answers
from scout_core.testing.rules.problems import RULES

KEPT = []
LAST = deque(maxlen=50)


def problems(hook, function):
    plugin = ModuleType("checked_plugin")
    setattr(plugin, hook, hookimpl(function))
    return [(problem.rule, problem.evidence) for problem in check_answers(plugin)]


def changes(transaction):
    transaction.tags["scored"] = True


def empties(transaction):
    del transaction.spans[:]


def renames(span):
    span.operation = "Shelf/Other"


def fails_late(transaction):
    return 1.0 if transaction.path != "/orders/30" else transaction.missing


def raises():
    raise KeyError("shelves")


WRONG = {
    "a score that is a text": ("score_transaction", lambda transaction: "high", "fails for a web request: ValueError"),
    "a score that is a bool": ("score_transaction", lambda transaction: True, "fails for a web request: ValueError"),
    "a score of NaN": ("score_transaction", lambda transaction: float("nan"), "fails for a web request: ValueError"),
    "a score that raises": ("score_transaction", lambda transaction: transaction.tags["plan"], "fails for a web request: KeyError"),
    "a score of jobs that raises": ("score_transaction", lambda transaction: 1.0 if transaction.is_web else len(transaction.path), "fails for a job without tags"),
    "a score that raises late": ("score_transaction", fails_late, "fails for requests of one endpoint: AttributeError"),
    "a score that changes tags": ("score_transaction", changes, "changes the tags of what it is given"),
    "a slow score": ("score_transaction", lambda transaction: time.sleep(0.006), "in the shortest of"),
    "an answer of 1": ("ignore_transaction", lambda transaction: 1, "returns an object of type int, which decides nothing"),
    "an answer of a list": ("ignore_transaction", lambda transaction: ["bot"], "returns an object of type list, which decides nothing"),
    "an answer that raises": ("ignore_transaction", lambda transaction: transaction.tags["bot"], "fails for a web request: KeyError"),
    "an answer that changes": ("ignore_transaction", changes, "changes the tags"),
    "an error that raises": ("on_error", lambda transaction, error: error.args, "fails for a request that fails: AttributeError"),
    "an error that changes": ("on_error", lambda transaction, error: changes(transaction), "changes the tags"),
    "an end that raises": ("on_request_end", lambda transaction: transaction.nothing, "fails for a web request: AttributeError"),
    "an end that changes": ("on_request_end", empties, "changes the spans"),
    "an end that keeps": ("on_request_end", lambda transaction: KEPT.append(transaction), "300, or their spans, are still referenced after their period"),
    "an end that keeps spans": ("on_request_end", lambda transaction: KEPT.extend(transaction.spans), "300, or their spans"),
    "a start that raises": ("on_request_start", lambda transaction: transaction.environ.keys(), "fails for a job without tags: AttributeError"),
    "a slow start": ("on_request_start", lambda transaction: time.sleep(0.0004), "in the shortest of"),
    "a span that raises": ("on_span", lambda span: span.tags["rows"], "fails for a web request: KeyError"),
    "a span that renames": ("on_span", renames, "changes the operation"),
    "a span that is kept": ("on_span", lambda span: KEPT.append(span), "still referenced after their period; one of these keeps them: on_span"),
    "a slow span": ("on_span", lambda span: time.sleep(0.0004), "more than 0.2 ms"),
    "an ignored one that raises": ("on_ignore", lambda transaction, reason: reason + 1, "fails for an ignored request: TypeError"),
    "a trace that raises": ("on_keep", lambda transaction, score: score + "", "fails for a web request: TypeError"),
    "a report that raises": ("on_report", lambda report: report.spans, "fails for a web request: AttributeError"),
    "gauges that are texts": ("measure_process", lambda: {"a": "many"}, "finite numbers, got str for a"),
    "gauges in a list": ("measure_process", lambda: [1.0], "a dict of names to numbers, got list"),
    "gauges without end": ("measure_process", lambda: {f"a{number}": 1.0 for number in range(60)}, "at most 50 gauges, got 60"),
    "gauges without a name": ("measure_process", lambda: {1: 1.0}, "printable names"),
    "gauges that are infinite": ("measure_process", lambda: {"a": float("inf")}, "finite numbers"),
    "gauges that raise": ("measure_process", raises, "fails for a web request: KeyError"),
    "slow gauges": ("measure_process", lambda: time.sleep(0.51), "more than 500 ms"),
}  # fmt: skip


@pytest.mark.parametrize(("hook", "function", "evidence"), WRONG.values(), ids=WRONG)
def test_a_hook_that_does_something_wrong_is_reported_with_its_name(hook, function, evidence):
    try:
        found = problems(hook, function)
    finally:
        KEPT.clear()
    ((rule, text),) = found

    assert ("gauges" if hook == "measure_process" else "answers") == rule
    assert hook in text
    assert evidence in text


def tags(transaction):
    transaction.tag("plan", "pro")


RIGHT = {
    "a score": ("score_transaction", lambda transaction, stats: stats.count / 2),
    "no score": ("score_transaction", lambda transaction: None),
    "a reason": ("ignore_transaction", lambda transaction: "bot" if transaction.path == "/orders/7" else None),
    "a yes": ("ignore_transaction", lambda transaction: transaction.is_web),
    "tags at the start": ("on_request_start", tags),
    "tags at the end": ("on_request_end", tags),
    "tags by a span": ("on_span", lambda span: span.transaction.tag("slow_query", True)),
    "a few that are kept": ("on_request_end", lambda transaction: LAST.append(transaction)),
    "an error": ("on_error", lambda transaction, error: error.exception),
    "gauges": ("measure_process", lambda: {"shelves": 3, "rss_bytes": 1e9}),
    "no gauges": ("measure_process", lambda: None),
    "a group that raises": ("trace_group", lambda transaction: transaction.tags["customer"]),  # the rule `groups` reports it
}  # fmt: skip


@pytest.mark.parametrize(("hook", "function"), RIGHT.values(), ids=RIGHT)
def test_a_hook_that_does_nothing_wrong_passes(hook, function):
    try:
        assert [] == problems(hook, function)
    finally:
        LAST.clear()


def test_a_plugin_with_targets_only_passes():
    assert [] == problems("instrument", lambda wrap: wrap("json:nosuch", print))


def test_every_hook_that_is_called_while_it_records_is_checked():
    from scout_core.testing.rules.answers import _LONGEST_MS

    once = {"register_options", "register_exporters", "register_commands", "instrument", "on_start", "on_stop"}
    hooks = {name for name, member in vars(hookspecs).items() if hasattr(member, f"{hookspecs.PROJECT}_spec")}

    assert hooks - once == set(_LONGEST_MS)
    assert {"answers", "gauges"} <= set(RULES)
