"""The points of policies as a function that the agent and tools around stored traces share."""

from __future__ import annotations

import pytest

from scout_core import transaction
from scout_core.boundary.guard import Guard
from scout_core.config.config import read_config
from scout_core.measuring.scoring import MOST_POINTS, score
from scout_core.measuring.stats import Lifetime, Stats

CONFIG = read_config(environment={})


def policy(name: str, result: object) -> Guard:
    return Guard(name, "score_transaction", lambda *arguments: result)


def points_of(*policies: Guard, **weights: float) -> dict[str, float]:
    lifetime = Lifetime(0.0)
    stats = Stats(lifetime, lifetime.add(1.0), 1.0, 0.0)
    return score(transaction("Job/mail.send"), stats, policies, weights=weights, config=CONFIG)


def test_points_are_multiplied_by_the_weight_of_their_policy():
    assert {"a": 1.5, "b": 4.0, "c": 0.0} == points_of(
        policy("a", 1.5), policy("b", 2), policy("c", 0.0), policy("d", None), b=2.0
    )


def test_every_policy_gets_the_transaction_its_stats_and_the_configuration():
    calls = []
    points_of(Guard("a", "score_transaction", lambda *arguments: calls.append(arguments)))

    ((given, stats, config),) = calls
    assert ("Job/mail.send", 1, CONFIG) == (given.operation, stats.count, config)


@pytest.mark.parametrize("result", [float("nan"), float("inf"), -float("inf"), 10**400, True, "5", [1.0]])
def test_something_other_than_a_finite_number_is_an_error_of_the_policy(result):
    invalid = policy("a", result)

    assert {"b": 1.0} == points_of(invalid, policy("b", 1.0))
    assert 1 == invalid.failures.count


@pytest.mark.parametrize(
    ("result", "weight", "expected"),
    [
        (1e300, 1.0, MOST_POINTS),
        (-1e300, 1.0, -MOST_POINTS),
        (2, 1e300, MOST_POINTS),
        (1e300, 1e300, MOST_POINTS),
        (10**30, 1.0, MOST_POINTS),
    ],
)
def test_points_are_limited(result, weight, expected):
    assert {"a": expected} == points_of(policy("a", result), a=weight)


def test_a_policy_that_raises_gives_nothing():
    failing = Guard("a", "score_transaction", lambda *arguments: 1 / 0)

    assert {"b": 1.0} == points_of(failing, policy("b", 1.0))
    assert 1 == failing.failures.count
