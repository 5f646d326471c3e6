"""The four policies that choose traces when nobody says otherwise: their formulas, and that they are plugins like any other."""

from __future__ import annotations

import pytest

from scout_core import transaction
from scout_core.builtin.policies import age, percent, percentile, speed
from scout_core.measuring.stats import Lifetime, Stats
from scout_core.testing import recording

POLICIES = {"age", "percent", "percentile", "speed"}


def finished(seconds):
    made = transaction("Controller/home")
    made.start_ns, made.stop_ns = 1, 1 + int(seconds * 1e9)
    return made


def stats(durations=(1.0,), own=1.0, all_time=None, kept_at=0.0, now=0.0):
    lifetime = Lifetime(kept_at)
    for seconds in durations:
        lifetime.count += 1
        lifetime.total += seconds
        lifetime.durations.add(seconds)
    return Stats(lifetime, own, sum(durations) if all_time is None else all_time, now)


@pytest.mark.parametrize(("seconds", "points"), [(0, 0.0), (0.1, 0.0238), (1, 0.1733), (10, 0.5995), (60, 1.0277)])
def test_speed_gives_the_logarithm_of_the_duration(seconds, points):
    assert points == pytest.approx(speed.score_transaction(finished(seconds)), abs=1e-4)


@pytest.mark.parametrize(
    ("durations", "all_time", "points"),
    [((1.0,), 1.0, 2.5), ((1.0, 1.0), 4.0, 1.25), ((1.0,), 1000.0, 0.0025), ((0.0,), 0.0, 0.0)],
)
def test_percent_gives_the_share_of_all_time(durations, all_time, points):
    assert points == pytest.approx(percent.score_transaction(stats(durations, all_time=all_time)))


@pytest.mark.parametrize(
    ("seconds", "points"), [(0, 0.0), (60, 0.25), (240, 1.0), (600, 2.5), (3600, 2.5), (10**9, 2.5), (-5, 0.0)]
)
def test_age_gives_a_quarter_for_each_minute_and_is_bounded(seconds, points):
    assert points == pytest.approx(age.score_transaction(stats(kept_at=1000.0, now=1000.0 + seconds)))


@pytest.mark.parametrize(
    ("shorter", "points"),
    [(0, 0.4), (39, 0.4), (40, 1.4), (59, 1.4), (60, 0.7), (89, 0.7), (90, 1.4), (99, 1.4)],
)
def test_percentile_prefers_the_typical_and_the_extreme(shorter, points):
    """Of a hundred so many were shorter."""
    durations = [0.1] * shorter + [1.0] + [10.0] * (99 - shorter)

    assert points == percentile.score_transaction(stats(durations, own=1.0))


def test_of_many_that_differ_each_step_of_percentile_is_reached():
    durations = [1.1**number for number in range(100)]

    points = [percentile.score_transaction(stats(durations, own=own)) for own in durations]

    assert [0.4] * 40 + [1.4] * 20 + [0.7] * 30 + [1.4] * 10 == points


def test_all_four_are_summed_and_told_with_the_trace(scout):
    with transaction("Controller/home") as home:
        pass
    (trace,) = scout.traces()

    assert POLICIES == set(trace.policies)
    assert trace.score == pytest.approx(sum(trace.policies.values()))
    expected = {"age": 0.0, "percent": 2.5, "percentile": 0.4, "speed": speed.score_transaction(home)}
    assert expected == pytest.approx(trace.policies, abs=1e-3)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_each_can_be_switched_off_by_its_name(name):
    with recording(plugins_disable=f"collector, {name}") as scout:
        with transaction("Controller/home"):
            pass
        (trace,) = scout.traces()

    assert POLICIES - {name} == set(trace.policies)


@pytest.mark.scout(policies={"percent": 4, "percentile": 0.5, "speed": 0})
def test_each_can_be_weighted(scout):
    with transaction("Controller/home"):
        pass
    (trace,) = scout.traces()

    assert {"age": 0.0, "percent": 10.0, "percentile": 0.2, "speed": 0.0} == trace.policies


@pytest.mark.scout(traces_per_period=1)
def test_the_one_that_takes_more_of_all_time_is_kept(scout):
    for name, seconds in (("cheap", 0.001), ("dear", 5.0), ("cheaper", 0.0001)):
        made = transaction(f"Controller/{name}")
        made.__enter__()
        made.start_ns -= int(seconds * 1e9)
        made.__exit__(None, None, None)

    assert ["Controller/dear"] == [trace.name for trace in scout.traces()]
