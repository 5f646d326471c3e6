"""The built-in policies: their formulas, and which traces an agent keeps because of them."""

from __future__ import annotations

import math
import random

import pytest

from scout_core import span, transaction
from scout_core.builtin.policies import age, error, percent, percentile, speed
from scout_core.config.config import read_config
from scout_core.measuring.stats import Lifetime, Stats
from scout_core.recording.transaction import Transaction
from scout_core.sending import choice
from scout_core.testing import recording
from tests.workbench import POLICIES, plugin

ONLY_THESE = {"plugins_autoload": False, "plugins_enable": POLICIES}
pytestmark = pytest.mark.scout(**ONLY_THESE)


def finished(seconds):
    finished = transaction("Controller/home")
    finished.start_ns, finished.stop_ns = 1, 1 + int(seconds * 1e9)
    return finished


def stats(durations=(1.0,), all_time=None, kept_at=0.0, now=0.0):
    """Return the stats of the last of these transactions."""
    lifetime = Lifetime(kept_at)
    quantile = [lifetime.add(seconds) for seconds in durations][-1]
    return Stats(lifetime, quantile, sum(durations) if all_time is None else all_time, now)


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


@pytest.mark.scout(plugins_autoload=False, plugins_enable=(*POLICIES, "error"))
def test_error_gives_more_for_a_failure_than_for_errors_that_were_handled(scout):
    with transaction("Controller/fine"), span("Cart/Load"):
        pass
    with transaction("Controller/handled") as handled:
        handled.record_error(ValueError("handled"))
    with transaction("Controller/answered") as answered:
        answered.tag("error", True)
    with pytest.raises(ValueError, match="left"), transaction("Controller/left"):
        raise ValueError("left")

    assert {
        "Controller/fine": None,
        "Controller/handled": 1.25,
        "Controller/answered": 2.5,
        "Controller/left": 2.5,
    } == {trace.name: trace.policies.get("error") for trace in scout.traces()}
    assert 2.5 == error.score_transaction(answered)


@pytest.mark.scout(plugins_autoload=False, plugins_enable=(*POLICIES, "error"), traces_per_period=1)
def test_error_traces_win_the_place_of_their_name_in_every_period(scout):
    """319 errors among 9,800 requests in 196 periods: without the policy, 2 of 196 traces had one."""
    dice = random.Random(9)
    failing = {*dice.sample(range(9_800), 319)}
    kept = []
    for period in range(196):
        for number in range(50 * period, 50 * period + 50):
            with transaction("Controller/home") as home:
                if number in failing:
                    home.record_error(ValueError(number), handled=number % 2 == 0)
        (trace,) = scout.traces()
        kept.append(trace.error or trace.errors)

    assert len({number // 50 for number in failing}) == sum(map(bool, kept)) > 150


@pytest.mark.parametrize(
    ("shorter", "points"),
    [(0, 0.4), (39, 0.4), (40, 1.4), (59, 1.4), (60, 0.7), (89, 0.7), (90, 1.4), (99, 1.4)],
)
def test_percentile_prefers_the_typical_and_the_extreme(shorter, points):
    """Among a hundred transactions, with the given number of shorter ones."""
    durations = [0.1] * shorter + [10.0] * (99 - shorter) + [1.0]

    assert points == percentile.score_transaction(stats(durations))


def test_every_step_of_percentile_is_reached_with_many_durations():
    durations = [1.1**number for number in range(100)]

    points = [
        percentile.score_transaction(stats([*durations[:number], *durations[number + 1 :], durations[number]]))
        for number in range(100)
    ]

    assert [0.4] * 40 + [1.4] * 20 + [0.7] * 30 + [1.4] * 10 == points


def test_the_score_of_a_trace_is_the_sum_of_all_four_policies(scout):
    with transaction("Controller/home") as home:
        pass
    (trace,) = scout.traces()

    assert set(POLICIES) == set(trace.policies)
    assert trace.score == pytest.approx(sum(trace.policies.values()))
    expected = {"age": 0.0, "percent": 2.5, "percentile": 0.4, "speed": speed.score_transaction(home)}
    assert expected == pytest.approx(trace.policies, abs=1e-3)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_be_disabled_by_its_name(name):
    with recording(plugins_disable=f"collector, {name}") as scout:
        with transaction("Controller/home"):
            pass
        (trace,) = scout.traces()

    assert set(POLICIES) - {name} == set(trace.policies)


@pytest.mark.scout(policies={"percent": 4, "percentile": 0.5, "speed": 0})
def test_every_policy_can_be_weighted(scout):
    with transaction("Controller/home"):
        pass
    (trace,) = scout.traces()

    assert {"age": 0.0, "percent": 10.0, "percentile": 0.2, "speed": 0.0} == trace.policies


@pytest.mark.scout(traces_per_period=1)
def test_the_name_with_the_larger_share_of_all_time_is_kept(scout):
    for name, seconds in (("cheap", 0.001), ("expensive", 5.0), ("cheaper", 0.0001)):
        request = transaction(f"Controller/{name}")
        request.__enter__()
        request.start_ns -= int(seconds * 1e9)
        request.__exit__(None, None, None)

    assert ["Controller/expensive"] == [trace.name for trace in scout.traces()]


class Clock:
    """The monotonic clock of the agent's thread; it moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(choice, "monotonic", clock)
    return clock


def ended(operation: str, seconds: float) -> Transaction:
    """Return a transaction with exactly this duration; the agent scores it when the test reads what was recorded."""
    with transaction(operation) as ended:
        pass
    ended.stop_ns = ended.start_ns + round(seconds * 1e9)
    return ended


def policies_of(scout) -> dict[str, dict[str, float]]:
    """Return the points of each kept trace by its name."""
    return {trace.name: trace.policies for trace in scout.traces()}


def test_a_trace_carries_the_points_of_all_four_and_their_sum(scout):
    for _ in range(9):
        ended("Controller/home", 1.0)
    ended("Controller/home", 10.0)

    (trace,) = scout.traces()
    speed = pytest.approx(math.log(11) * 0.25)

    assert {"age": 0.0, "percent": 2.5, "percentile": 1.4, "speed": speed} == trace.policies
    assert math.isclose(sum(trace.policies.values()), trace.score)
    assert 10.0 == trace.duration


@pytest.mark.parametrize("policies, kept", [({}, 2.0), ({"percentile": 0}, 3.0)])
def test_a_typical_transaction_is_preferred_to_a_slower_one_with_the_same_name(policies, kept):
    """The 2nd is longer than 1 of 2, in the middle: 1.4. The 3rd is longer than 2 of 3: 0.7, which its speed does not outweigh."""
    with recording(**ONLY_THESE, policies=policies) as scout:
        for seconds in (1.0, 2.0, 3.0):
            ended("Job/mail", seconds)

        assert [kept] == [trace.duration for trace in scout.traces()]


def test_percent_counts_all_time_since_the_start_and_the_transaction_itself(scout):
    ended("Controller/cart", 3.0)
    scout.report()
    ended("Job/mail", 1.0)

    assert math.isclose(2.5 / 4, policies_of(scout)["Job/mail"]["percent"])


def test_age_starts_with_the_first_transaction_of_a_name_and_restarts_when_a_trace_is_kept(scout, clock):
    points = []
    for minutes in (0, 1, 3, 60):
        clock.now += minutes * 60
        ended("Controller/home", 1.0)
        points.append(policies_of(scout)["Controller/home"]["age"])

    assert [0.0, 0.25, 0.75, 2.5] == points


def test_age_continues_for_a_name_whose_trace_was_not_kept(clock):
    recorded = []

    def score_transaction(transaction, stats):
        recorded.append((transaction.operation, stats.seconds_since_kept))

    watcher = plugin("watcher", score_transaction=score_transaction)
    with recording(**ONLY_THESE, plugins=[watcher], traces_per_period=1) as scout:
        ended("Controller/slow", 100.0)
        ended("Controller/quick", 0.1)
        scout.agent.recorder.work()
        clock.now += 60
        kept = [trace.name for trace in scout.traces()]
        clock.now += 60
        ended("Controller/slow", 100.0)
        ended("Controller/quick", 0.1)
        scout.report()

    assert ["Controller/slow"] == kept
    assert [("Controller/slow", 60.0), ("Controller/quick", 120.0)] == recorded[2:]


@pytest.mark.parametrize("policies, kept", [({"speed": 0}, "Controller/first"), ({"percent": 0}, "Controller/slow")])
def test_weights_decide_which_trace_is_kept(policies, kept):
    with recording(**ONLY_THESE, traces_per_period=1, policies=policies) as scout:
        ended("Controller/first", 1.0)  # all the time so far is its own when it ends: percent 2.5
        ended("Controller/slow", 9.0)

        assert [kept] == [trace.name for trace in scout.traces()]


@pytest.mark.scout(policies={"sped": 5.0})
def test_a_weight_for_an_unknown_policy_is_reported_and_has_no_effect(scout):
    ended("Controller/home", 10.0)
    problem = "policies (code) names 'sped', which is not a plugin here; did you mean speed?"
    speed = pytest.approx(math.log(11) * 0.25)

    assert [problem] == [str(found) for found in scout.agent.plugins.problems]
    assert {"age": 0.0, "percent": 2.5, "percentile": 0.4, "speed": speed} == policies_of(scout)["Controller/home"]


@pytest.mark.parametrize("text", ["speed", "speed:", ":2", "speed:fast", "speed:-1", "speed:nan", "speed:inf"])
def test_an_invalid_weight_is_reported(text):
    config = read_config(environment={"SCOUT_POLICIES": text})

    assert ({}, 1) == (config.get("policies"), len(config.problems))
    assert str(config.problems[0]).startswith(
        f"invalid value {text!r} for policies (environment SCOUT_POLICIES); expected "
    )


@pytest.mark.scout(plugins_disable="*")
def test_the_first_trace_of_every_name_is_kept_without_points_when_there_is_no_policy(scout):
    ended("Controller/home", 1.0)
    ended("Controller/home", 100.0)

    (trace,) = scout.traces()

    assert (1.0, 0, {}) == (trace.duration, trace.score, trace.policies)


def test_a_custom_policy_counts_like_a_built_in_one():
    """It is added to the others and weighted by its name; None gives no points and is not shown."""

    def score_transaction(transaction):
        return {"gold": 5, "silver": None}[transaction.tags["plan"]]

    own = plugin("paying", score_transaction=score_transaction)
    settings = {"plugins": [own], "plugins_autoload": False, "plugins_enable": ["speed"], "policies": {"paying": 0.5}}
    with recording(**settings) as scout:
        ended("Controller/gold", 1.0).tag("plan", "gold")
        ended("Controller/silver", 1.0).tag("plan", "silver")
        traces = {trace.name: trace for trace in scout.traces()}

    quarter = math.log(2) * 0.25
    assert {"paying": 2.5, "speed": pytest.approx(quarter)} == traces["Controller/gold"].policies
    assert {"speed": pytest.approx(quarter)} == traces["Controller/silver"].policies
    assert math.isclose(2.5 + quarter, traces["Controller/gold"].score)
