"""States, problems and next steps: what each is as data, and the one text that is made of it."""

from __future__ import annotations

import json

import pytest

from scout_core.problems import NextStep, Problem, join_clauses, join_problems
from scout_core.states import State


def test_a_state_is_its_word_wherever_it_is_written():
    assert "active" == State.ACTIVE == str(State.ACTIVE) == f"{State.ACTIVE}" == State("active").value
    assert '["active"]' == json.dumps([State.ACTIVE])


def test_a_state_can_be_the_verb_of_a_sentence():
    assert ("is waiting", "has failed") == (State.WAITING.predicate, State.FAILED.predicate)


def test_the_order_is_from_best_to_worst():
    assert ["active", "waiting", "disabled", "skipped", "quarantined", "failed"] == [state.value for state in State]
    assert State.FAILED == max(State, key=lambda state: state.severity)
    assert {State.ACTIVE, State.WAITING, State.DISABLED} == {state for state in State if state.is_fine}


@pytest.mark.parametrize(
    ("clauses", "expected"),
    [
        ((), ""),
        (("", "redis is missing", ""), "redis is missing"),
        (("redis is missing", "install it"), "redis is missing; install it"),
        (("no hook on_spam", "did you mean on_span?", "fix shop"), "no hook on_spam; did you mean on_span? Fix shop"),
    ],
)
def test_clauses_are_joined_as_a_person_would_write_them(clauses, expected):
    assert expected == join_clauses(*clauses)


def test_a_problem_is_its_detail_followed_by_the_advice():
    missing = Problem("missing-target", "redis:get", "redis has no get")
    unknown = Problem("unknown-option", "sample_raet", "unknown option sample_raet", "did you mean sample_rate?")

    assert "redis has no get" == str(missing)
    assert "unknown option sample_raet; did you mean sample_rate?" == str(unknown)
    assert "redis has no get; unknown option sample_raet; did you mean sample_rate?" == join_problems(
        [missing, unknown]
    )


def test_a_next_step_names_its_commands():
    assert "fix shop.policies" == str(NextStep("fix", "fix shop.policies"))
    assert "upgrade it: pip install -U a, or: scout-core plugins disable b" == str(
        NextStep("upgrade-plugin", "upgrade it", ("pip install -U a", "scout-core plugins disable b"))
    )
