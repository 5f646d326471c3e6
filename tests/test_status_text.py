"""How the command line shows the functions and the targets of a plugin."""

from __future__ import annotations

import pytest

from scout_core.cli.status_text import describe_function, describe_targets, format_cost
from scout_core.problems import Problem, TooManyErrors, TooSlow
from scout_core.sending.protocol import RunningFunction, RunningPlugin
from scout_core.states import State

SLOW = TooSlow(
    seconds=0.00035, quantile=0.95, timed=20, window=100, option="hook_budget_seconds", factor=1, limit=0.0002
)
FIGURES = "350 µs a call (p95 of the last 20 timed calls, window 100), above hook_budget_seconds = 200 µs"


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "on_span: 3 calls"),
        ({"p50_ms": 0.004, "p95_ms": 0.0125}, "on_span: 3 calls, p50 4.0 µs, p95 12 µs"),
        ({"slow": "hook_budget_seconds", "too_slow": SLOW}, f"on_span: 3 calls; slow: {FIGURES}"),
        (
            {"slow": "hook_budget_seconds", "too_slow": SLOW, "off": "too-slow"},
            f"on_span: 3 calls; switched off: {FIGURES}",
        ),
        (
            {"off": "too-many-errors", "too_many_errors": TooManyErrors(10, 10)},
            "on_span: 3 calls; switched off: 10 errors in a row",
        ),
        (
            {"slow": "hook_budget_seconds", "too_slow": SLOW, "off": "too-many-errors", "too_many_errors": TooManyErrors(50, 100)},
            "on_span: 3 calls; switched off: 50 errors in 100 calls",
        ),
        (
            {"unfollowed": ("a context manager (Lock)", "an iterator (Rows)")},
            "on_span: 3 calls; its spans end with the call, though it returns a context manager (Lock) and an iterator (Rows):"
            " keep_open() lets them last longer",
        ),
    ],
)  # fmt: skip
def test_a_function_is_shown_with_its_times_and_the_reason_why_it_is_slow_or_off(facts, text):
    function = RunningFunction(
        **{"slow": "", "off": "", "p50_ms": None, "p95_ms": None, **facts}, place="on_span", calls=3, errors=0
    )

    assert text == describe_function(function)


@pytest.mark.parametrize(
    ("slow", "off", "text"), [("late", "", "; slow: late"), ("", "gone", "; switched off: gone"), ("late", "gone", "; switched off: gone")]
)  # fmt: skip
def test_the_texts_of_an_agent_that_sends_no_figures_are_shown(slow, off, text):
    function = RunningFunction(place="on_span", calls=3, errors=0, p50_ms=None, p95_ms=None, slow=slow, off=off)

    assert f"on_span: 3 calls{text}" == describe_function(function)


@pytest.mark.parametrize(
    ("not_found", "problems", "text"),
    [
        ((), (), []),
        (("a:b",), (Problem("missing-target", "a:b", "a:b: a has no b"),), [("not found", ["a:b: a has no b"])]),
        (("a:b: a has no b",), (), [("not found", ["a:b: a has no b"])]),
        (
            ("a:b", "a:d"),
            (
                Problem("missing-target", "a:b", "a:b: gone"),
                Problem("incomplete-group", "a:c", "a:c: incomplete"),
                Problem("missing-target", "a:d", "a:d: gone"),
                Problem("unsupported-target", "a:e", "a:e: wrapped before"),
            ),
            [
                ("not found", ["a:b: gone", "a:d: gone"]),
                ("left out", ["a:c: incomplete"]),
                ("not wrapped", ["a:e: wrapped before"]),
            ],
        ),
        ((), (Problem("a-later-kind", "a:c", "a:c: why"),), [("a-later-kind", ["a:c: why"])]),
    ],
)
def test_each_target_that_is_not_wrapped_is_shown_as_what_it_is_whichever_way_the_agent_sends_it(
    not_found, problems, text
):
    plugin = RunningPlugin(
        name="a", state=State.ACTIVE, reason="", calls=0, errors=0, last_error=None, traceback=(), functions=(),
        wrapped=(), waiting=(), not_found=not_found, target_problems=problems,
    )  # fmt: skip

    assert text == describe_targets(plugin)


def test_times_are_rounded():
    shown = {0.0: "0.0 µs", 0.0004: "0.4 µs", 0.0098: "9.8 µs", 0.00996: "10 µs", 0.012: "12 µs", 0.9994: "999 µs", 0.9996: "1.0 ms",
             2.5: "2.5 ms", 9.96: "10 ms", 89.4: "89 ms"}  # fmt: skip

    assert shown == {value: format_cost(value) for value in shown}
