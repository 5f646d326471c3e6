"""Whether something changed with a deploy: no alarm where nothing did, and every large change is found."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import comb

import pytest

from scout_dashboard.queries import change
from scout_dashboard.queries.change import Sides
from scout_dashboard.store.periods import Figures

ENDPOINTS = 300


def drawn(
    dice: random.Random,
    number: int,
    load: float = 1.0,
    *,
    times: float = 1.0,
    failing: float = 0.05,
    peaks: bool = False,
) -> Figures:
    """Return the figures of so many requests."""
    figures = Figures()
    for _ in range(number):
        typical = (0.005 if dice.random() < 0.7 else 0.08) if peaks else 0.05
        seconds = typical * dice.lognormvariate(0, 0.5) * load * times
        figures.count += 1
        figures.total += seconds
        figures.durations.add(seconds)
        figures.errors += dice.random() < failing * load
    return figures


def loads(dice: random.Random, spread: float, minutes: int) -> list[list[float]]:
    """Return how much slower everything is in each minute of each slice."""
    return [[dice.lognormvariate(0, spread) for _ in range(minutes)] for _ in range(change.SLICES)]


def slices(dice: random.Random, number: int, of: Sequence[Sequence[float]], **how: float) -> list[Figures]:
    return [
        change.merged([drawn(dice, number // change.SLICES // len(minutes), load, **how) for load in minutes])
        for minutes in of
    ]


def states(sides: Sequence[Sides]) -> list[tuple[str, str]]:
    """Return the states of all endpoints of a page."""
    limit = change.limit_of(4 * sum(side.are_comparable for side in sides))
    return [(change.change_of_time(side, limit), change.change_of_errors(side, limit)) for side in sides]


@pytest.mark.parametrize("peaks", [False, True])
@pytest.mark.parametrize("number, spread, minutes", [(120, 0.0, 1), (120, 0.2, 5), (600, 0.3, 2), (600, 0.15, 1)])
@pytest.mark.parametrize("seed", [1, 2])
def test_without_a_change_no_endpoint_of_many_is_named(seed, number, spread, minutes, peaks):
    """Also where the load, of which all endpoints depend, varies from minute to minute."""
    dice = random.Random(f"{seed} {number} {spread} {peaks}")
    before, after = loads(dice, spread, minutes), loads(dice, spread, minutes)
    sides = [
        Sides.of(slices(dice, number, before, peaks=peaks), slices(dice, number, after, peaks=peaks))
        for _ in range(ENDPOINTS if number < 600 else ENDPOINTS // 3)
    ]

    assert {("not clear", "not clear")} == set(states(sides))


def test_large_changes_are_found_among_many_endpoints_without_one():
    dice = random.Random(7)
    before, after = loads(dice, 0.1, 5), loads(dice, 0.1, 5)
    changed = {
        0: {"times": 2.0},
        1: {"times": 0.5},
        2: {"failing": 0.3},
        3: {"failing": 0.0},
        4: {"times": 2.0, "failing": 0.3},
    }
    sides = [
        Sides.of(slices(dice, 600, before), slices(dice, 600, after, **changed.get(number, {})))
        for number in range(ENDPOINTS // 3)
    ]
    found = states(sides)

    assert [
        ("slower", "not clear"),
        ("faster", "not clear"),
        ("not clear", "more"),
        ("not clear", "fewer"),
        ("slower", "more"),
    ] == found[:5]
    assert {("not clear", "not clear")} == set(found[5:])


def test_a_change_that_is_real_but_small_is_not_named():
    """By the rank test it is certain; nobody acts on 10 %, nor on 2 ms."""
    dice = random.Random(3)
    flat = loads(dice, 0.0, 1)
    slight = Sides.of(slices(dice, 6_000, flat), slices(dice, 6_000, flat, times=1.1))
    short = Sides.of([drawn(dice, 500, times=0.05) for _ in flat], [drawn(dice, 500, times=0.09) for _ in flat])

    assert [("not clear", "not clear")] * 2 == states([slight, short])


def test_a_disturbance_of_a_part_of_the_time_is_not_named():
    """A database that was busy for a while slows many requests, and is gone."""
    dice = random.Random(5)
    flat = loads(dice, 0.0, 1)
    disturbed = [[1.0]] * 8 + [[4.0]] * 2 + [[1.0]] * 2
    sides = Sides.of(slices(dice, 1_200, flat, failing=0.1), slices(dice, 1_200, disturbed, failing=0.1))
    before, after = change.merged(sides.before), change.merged(sides.after)

    assert after.mean > 1.4 * before.mean
    assert after.errors > 1.2 * before.errors
    assert [("not clear", "not clear")] == states([sides])


@pytest.mark.parametrize(
    "before, after",
    [([4] * 12, [50] * 12), ([50] * 12, [0] * 12), ([500] + [0] * 11, [50] * 12), ([50] * 12, [50] * 9 + [4] * 3)],
)
def test_too_few_transactions_or_those_of_a_moment_are_not_called_unchanged(before, after):
    dice = random.Random(1)
    sides = Sides.of([drawn(dice, number) for number in before], [drawn(dice, number, times=9) for number in after])

    assert [("too few", "too few")] == states([sides])


def test_the_threshold_allows_for_the_number_of_comparisons():
    limits = {number: change.limit_of(number) for number in (0, 1, 20, 2_000)}

    assert limits[0] == limits[1] == pytest.approx(0.000483, rel=0.01)
    for number, limit in limits.items():
        assert number * limit <= change.FALSE_ALARMS


@pytest.mark.parametrize(
    "errors, of, more, more_of", [(0, 50, 4, 60), (3, 40, 9, 30), (5, 20, 5, 20), (0, 9, 9, 9), (0, 5, 0, 5)]
)
def test_the_chance_of_errors_is_that_of_fishers_test(errors, of, more, more_of):
    known = errors + more
    ways = sum(comb(more_of, number) * comb(of, known - number) for number in range(more, min(known, more_of) + 1))

    assert ways / comb(of + more_of, known) == pytest.approx(change.chance_of_share(errors, of, more, more_of))


def test_the_chance_of_many_errors_is_fast_and_finite():
    assert 0 < change.chance_of_share(500_000, 10_000_000, 501_000, 10_000_000) < 0.3
    assert change.chance_of_number(500_000, 10_000_000, 510_000, 10_000_000) < 1e-12
    assert 0.0 == change.chance_of_share(0, 10_000_000, 5_000_000, 10_000_000)
    assert 1.0 == change.chance_of_number(0, 0, 5, 10)


def test_errors_that_occur_more_often_than_transactions_are_compared_by_their_rate():
    def occurring(*numbers: int) -> list[Figures]:
        return [Figures(count=100, errors=number) for number in numbers]

    few, many = occurring(*[150, 160, 140] * 4), occurring(*[300, 310, 290] * 4)

    assert [True, False, False] == [
        change.is_more_frequent(Sides.of(*sides), change.limit_of(500))
        for sides in ((few, many), (many, few), (few, few))
    ]
