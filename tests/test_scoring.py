"""The points of policies as a function that the agent and tools around stored traces share."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

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


class Unreadable(Fraction):
    def __float__(self):
        raise LookupError("no float today")


@pytest.mark.parametrize(
    "result",
    [
        *[float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")],
        *[True, "5", b"5", [1.0], 1j, object(), Unreadable(1)],
    ],
)
def test_something_other_than_a_finite_number_is_an_error_of_the_policy(result):
    invalid = policy("a", result)

    assert {"b": 1.0} == points_of(invalid, policy("b", 1.0))
    assert 1 == invalid.failures.count


class Points(int):
    """Points of a class of the application."""


@pytest.mark.parametrize(
    "result", [Decimal("2.5"), Fraction(5, 2), Fraction(5 * 10**400, 2 * 10**400)], ids=["decimal", "fraction", "huge"]
)
def test_real_numbers_of_any_type_are_points(result):
    points = points_of(policy("a", result), a=2.0)

    assert {"a": 5.0} == points
    assert type(points["a"]) is float, "receivers read plain numbers"


def test_subclasses_of_int_are_points():
    assert {"a": 3.0} == points_of(policy("a", Points(3)))


def test_numbers_of_numpy_are_points():
    numpy = pytest.importorskip("numpy", reason="not with the packages of this environment")
    for kind in (numpy.float64, numpy.float32, numpy.float16, numpy.longdouble, numpy.int64, numpy.uint8):
        points = points_of(policy("a", kind(3)), a=2.0)
        assert {"a": 6.0} == points, kind
        assert type(points["a"]) is float, "receivers read plain numbers"
    for result in (numpy.float64("nan"), numpy.float32("inf"), numpy.bool_(True), numpy.array([1.0]), numpy.array(1.0)):
        invalid = policy("a", result)
        assert {} == points_of(invalid)
        assert f"got {type(result).__name__}" in str(invalid.failures.last) or isinstance(result, float)
    assert {"a": MOST_POINTS} == points_of(policy("a", numpy.longdouble(10) ** 400))


@pytest.mark.parametrize(
    ("result", "weight", "expected"),
    [
        (1e300, 1.0, MOST_POINTS),
        (-1e300, 1.0, -MOST_POINTS),
        (2, 1e300, MOST_POINTS),
        (1e300, 1e300, MOST_POINTS),
        (10**30, 1.0, MOST_POINTS),
        (10**400, 1.0, MOST_POINTS),
        (-Fraction(10**400), 1.0, -MOST_POINTS),
        (Decimal("1e400"), 1.0, MOST_POINTS),
        (Decimal("-1e400"), 1.0, -MOST_POINTS),
        (10**400, 0.0, 0.0),
    ],
)
def test_points_are_limited(result, weight, expected):
    assert {"a": expected} == points_of(policy("a", result), a=weight)


def test_a_policy_that_raises_gives_nothing():
    failing = Guard("a", "score_transaction", lambda *arguments: 1 / 0)

    assert {"b": 1.0} == points_of(failing, policy("b", 1.0))
    assert 1 == failing.failures.count
