from __future__ import annotations

import asyncio
import gc
import math
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from time import monotonic, perf_counter, time

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.errors import RejectedReport
from scout_core.measuring.report import Report
from scout_core.operations import is_web
from scout_core.sending import choice, outbox, recorder
from tests.workbench import (
    POLICIES,
    Behaving,
    Keeper,
    counted,
    eventually,
    exporting,
    is_balanced,
    plugin,
    running,
)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def seconds(self) -> float:
        return self.now

    def ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch):
    """Holds the clocks of spans and of the recorder."""
    clock = Clock()
    monkeypatch.setattr("scout_core.recording.span.perf_counter_ns", clock.ns)
    monkeypatch.setattr("scout_core.recording.transaction.perf_counter_ns", clock.ns)
    monkeypatch.setattr(recorder, "monotonic", clock.seconds)
    monkeypatch.setattr(choice, "monotonic", clock.seconds)
    monkeypatch.setattr(recorder, "time", clock.seconds)
    return clock


@pytest.fixture
def quick(monkeypatch):
    """A thread that looks often, and attempts without pauses, so that a test is over soon."""
    monkeypatch.setattr(recorder, "TICK", 0.002)
    monkeypatch.setattr(recorder, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr(outbox, "pause_after", lambda failures: 0.001)


class ByHand:
    """An agent whose recorder the test drives, and its reports."""

    def __init__(self, agent, reports) -> None:
        self.agent = agent
        self._reports = reports

    def report(self):
        """The report of the period, which ends now."""
        self.agent.recorder.work()
        self.agent.recorder.close_period()
        return self._reports[-1]

    def points(self, name: str = "Controller/home") -> dict[str, float]:
        """Why the trace of this name was kept."""
        return {trace.name: trace.policies for trace in self.report().traces}[name]

    def status(self, name: str):
        return {status.name: status for status in self.agent.plugin_statuses()}[name]


@contextmanager
def by_hand(*plugins, **settings) -> Iterator[ByHand]:
    reports: list[Report] = []
    notes = plugin("test_notes", on_report=lambda report: reports.append(report))
    with running(notes, *plugins, threaded=False, **settings) as agent:
        yield ByHand(agent, reports)


def take_place(name: str, clock: Clock | None = None, seconds: float = 0.0, **tags) -> None:
    with transaction(name, **tags):
        if clock is not None:
            clock.now += seconds


# What is decided on a transaction.


def test_each_transaction_is_counted_ignored_or_sampled():
    seen = []
    ignored = []
    decide = plugin(
        "test_decide",
        ignore_transaction=lambda transaction: transaction.operation == "Job/hidden",
        on_request_end=lambda transaction: seen.append(transaction.operation),
        on_ignore=lambda transaction, reason: ignored.append((transaction.operation, reason)),
    )
    with by_hand(decide) as hand:
        take_place("Controller/home")
        take_place("Job/hidden")
        with transaction("Controller/left") as left:
            left.ignore("it is private")
        with transaction("Controller/rare") as rare:
            rare.ignore("sampled")
        report = hand.report()
        counters = hand.agent.counters()

    assert ["Controller/home"] == seen == [one.name for one in report.transactions]
    assert [
        ("Job/hidden", "by plugin test_decide"), ("Controller/left", "it is private"), ("Controller/rare", "sampled"),
    ] == ignored  # fmt: skip
    assert {"ignored": 2, "sampled": 1, "no exporter": 1} == counters.dropped
    assert (4, 0) == (counters.finished, counters.queued)


def test_errors_are_told_before_the_transaction_is_counted():
    told = []
    listening = plugin(
        "test_listening",
        on_error=lambda transaction, error: told.append((transaction.operation, error.exception, error.message)),
        on_request_end=lambda transaction: told.append(transaction.operation),
    )
    with by_hand(listening) as hand:
        with pytest.raises(KeyError), transaction("Controller/home"):
            raise KeyError
        take_place("Controller/away")
        (home, _) = hand.report().transactions

    assert ["KeyError", "Controller/home", "Controller/away"] == [told[0][1], *told[1:]]
    assert 1 == home.errors


def test_names_beyond_the_limit_become_other_and_are_counted():
    with by_hand(max_names=2) as hand:
        for name in ("Controller/a", "Job/b", "Controller/c", "Controller/d", "Job/e", "Controller/a"):
            take_place(name)
        first = {one.name: one.count for one in hand.report().transactions}
        take_place("Job/late")
        take_place("Job/b")
        second = hand.report()

    assert {"Controller/a": 2, "Job/b": 1, "Controller/other": 2, "Job/other": 1} == first
    assert {"Job/other": 1, "Job/b": 1} == {one.name: one.count for one in second.transactions}
    assert {"Job/other", "Job/b"} == {trace.name for trace in second.traces}
    assert 4 == hand.agent.counters().names_merged


def test_a_name_is_cut_to_three_hundred_characters():
    with by_hand() as hand:
        take_place("Controller/" + "x" * 10_000)
        report = hand.report()

    assert ["Controller/" + "x" * 289] == [one.name for one in report.transactions] == [t.name for t in report.traces]


def test_spans_and_what_became_of_them_are_counted():
    with by_hand(max_spans=2) as hand:
        with transaction("Controller/home"):
            for _ in range(5):
                with span("SQL/Query"):
                    pass
        hand.report()
        counters = hand.agent.counters()

    assert (5, 3) == (counters.spans, counters.spans_merged)


def test_facts_that_make_no_sense_do_not_cost_the_transaction():
    """Such as a datetime where a Unix time belongs."""
    with by_hand() as hand:
        with transaction("Job/mail") as job:
            job.queued_at = "2026-01-01"
        take_place("Job/mail")
        (mail,) = hand.report().transactions

    assert (2, 0) == (mail.count, mail.queued)


# What is kept, and why.


def test_the_points_of_the_four_policies_are_those_of_their_formulas(clock):
    """Constants: scout_apm_ruby's, with the percentile times 100 and the age bounded."""
    draw = random.Random(4)
    names = ["Controller/a", "Controller/b", "Controller/c", "Job/d", "Job/e"]
    spent: dict[str, list[float]] = {name: [] for name in names}
    kept_at: dict[str, float] = {}
    seen = Counter()

    with by_hand() as hand:
        for pause in (1_200.0, 240.0, 30.0):
            best: dict[str, tuple[float, dict[str, float]]] = {}
            for _ in range(40):
                name = draw.choice(names)
                duration = 1.1 ** draw.randrange(-40, 45)  # a step is five buckets, so ranks are exact
                take_place(name, clock, duration)
                hand.agent.recorder.work()
                kept_at.setdefault(name, clock.now)
                spent[name].append(duration)
                percentile = 100 * sum(one < duration * 0.999 for one in spent[name]) / len(spent[name])
                points = {
                    "speed": math.log(1 + duration) / 4,
                    "percent": 2.5 * sum(spent[name]) / sum(map(sum, spent.values())),
                    "age": min(2.5, (clock.now - kept_at[name]) / 60 / 4),
                    "percentile": 0.4
                    if percentile < 40
                    else 1.4
                    if percentile < 60
                    else 0.7
                    if percentile < 90
                    else 1.4,
                }
                seen[points["percentile"], points["age"] == 2.5] += 1
                if name not in best or sum(points.values()) > best[name][0] + 1e-9:
                    best[name] = sum(points.values()), points
            report = hand.report()
            for name in best:
                kept_at[name] = clock.now
            clock.now += pause

            assert set(best) == {trace.name for trace in report.traces}
            for trace in report.traces:
                assert best[trace.name][1] == pytest.approx(trace.policies, abs=1e-6)
                assert best[trace.name][0] == pytest.approx(trace.score, abs=1e-6)
                assert sum(trace.policies.values()) == trace.score

    assert {0.4, 0.7, 1.4} == {value for value, _ in seen}, "every step of the percentile was met"
    assert {True, False} == {is_bounded for _, is_bounded in seen}, "and the bound of the age"


@pytest.mark.parametrize(("seconds", "points"), [(1.0, 0.17), (10.0, 0.60), (60.0, 1.03)])
def test_speed_is_worth_what_its_authors_say(clock, seconds, points):
    with by_hand() as hand:
        take_place("Controller/home", clock, seconds)

        assert points == pytest.approx(hand.points()["speed"], abs=0.005)


def test_the_best_ten_web_requests_and_as_many_jobs_keep_their_trace(clock):
    with by_hand() as hand:
        for number in range(15):
            take_place(f"Controller/{number}", clock, 1.0 + number)
            take_place(f"Job/{number}", clock, 100.0 - number)
        report = hand.report()
        counts = Counter(is_web(trace.name) for trace in report.traces)

    assert {True: 10, False: 10} == counts
    assert 30 == len(report.transactions)
    for web in (True, False):
        scores = [trace.score for trace in report.traces if is_web(trace.name) is web]
        assert sorted(scores, reverse=True) == scores


def scoring(points: dict[str, float], name: str = "test_scoring"):
    return plugin(name, score_transaction=lambda transaction: points.get(transaction.operation))


def test_time_since_kept_restarts_only_when_a_trace_was_really_kept(clock):
    """Ruby announced a trace when it entered the set; one that was beaten in the same minute then seemed kept."""
    noted: dict[str, list[float]] = {"Controller/a": [], "Controller/b": []}
    kept = []
    noting = plugin(
        "test_noting",
        score_transaction=lambda transaction, stats: noted[transaction.operation].append(stats.seconds_since_kept),
        on_keep=lambda transaction, score: kept.append((transaction.operation, score)),
    )
    with by_hand(
        noting, scoring({"Controller/a": 1.0, "Controller/b": 2.0}), traces_per_period=1, plugins_enable=()
    ) as hand:
        for _ in range(3):
            take_place("Controller/a")
            take_place("Controller/b")
            hand.agent.recorder.work()
            clock.now += 60
            hand.report()
            clock.now += 40

    assert {"Controller/a": [0.0, 100.0, 200.0], "Controller/b": [0.0, 40.0, 40.0]} == noted
    assert [("Controller/b", 2.0)] * 3 == kept


def test_a_trace_is_announced_when_the_period_ends_with_all_its_spans(clock):
    kept = []
    announcing = plugin(
        "test_announcing", on_keep=lambda transaction, score: kept.append([s.operation for s in transaction.spans])
    )
    with by_hand(announcing) as hand:
        with transaction("Controller/home"), span("SQL/Query"):
            pass
        hand.agent.recorder.work()
        before = list(kept)
        hand.report()

    assert [] == before
    assert [["SQL/Query"]] == kept


def test_weights_multiply_the_points_of_a_policy(clock):
    with by_hand(scoring({"Controller/home": 1.5}), policies={"speed": 2.0, "age": 0, "test_scoring": 10}) as hand:
        clock.now += 1
        take_place("Controller/home", clock, 1.0)
        points = hand.points()

    assert 15.0 == points["test_scoring"]
    assert 0.0 == points["age"]
    assert math.log(2) / 2 == pytest.approx(points["speed"])


class OddNumber(float):
    """Not a plain number: whatever it does when it is multiplied is foreign code."""


@pytest.mark.parametrize(
    "nonsense",
    ["5", math.nan, math.inf, -math.inf, 10**400, -(10**400), object(), [1.0], Decimal("1"), 1j, OddNumber(1)],
    ids=lambda nonsense: f"{type(nonsense).__name__} {str(nonsense)[:5]}",
)
def test_a_policy_that_returns_nonsense_costs_only_its_own_points(clock, nonsense):
    with by_hand() as hand:
        take_place("Controller/home", clock, 1.0)
        expected = hand.points()
    with by_hand(scoring({"Controller/home": nonsense}, "odd"), scoring({"Controller/home": 3}, "other")) as hand:
        take_place("Controller/home", clock, 1.0)
        points = hand.points()
        status = hand.status("odd")

    assert {**expected, "other": 3.0} == pytest.approx(points)
    assert 1 == status.errors
    assert "a score must be a finite number or None" in status.last_error


@pytest.mark.parametrize("huge", [1e300, -1e300, 10**300, 1e18], ids=lambda huge: f"{huge:.0e}")
def test_points_are_bounded_so_that_the_report_can_be_sent(clock, huge):
    """A receiver refuses what is no sensible number, and with it the whole report."""
    with by_hand(
        scoring({"Controller/home": huge}, "one"), scoring({"Controller/home": huge}, "two"), policies={"one": 1e9}
    ) as hand:
        take_place("Controller/home", clock, 1.0)
        points = hand.points()

    assert [math.copysign(1e9, huge)] * 2 == [points["one"], points["two"]]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=repr)
def test_a_policy_that_raises_costs_only_its_own_points_and_is_switched_off(clock, error):
    def fails(transaction):
        raise error

    with by_hand(plugin("failing", score_transaction=fails)) as hand:
        for _ in range(12):
            take_place("Controller/home", clock, 1.0)
        points = hand.points()
        status = hand.status("failing")

    assert set(POLICIES) == set(points)
    assert ("quarantined", 10, 10) == (status.state, status.calls, status.errors)
    assert "10 errors in a row" in status.reason


def test_a_policy_that_is_slow_is_switched_off(clock):
    def slow(transaction):
        until = perf_counter() + 0.004
        while perf_counter() < until:
            pass
        return 1.0

    with by_hand(plugin("slow", score_transaction=slow), slow_hook_seconds=0.002) as hand:
        for _ in range(10):
            take_place("Controller/home", clock, 1.0)
        while_it_worked = hand.points()
        take_place("Controller/home", clock, 1.0)
        afterwards = hand.points()
        status = hand.status("slow")

    assert {*POLICIES, "slow"} == set(while_it_worked)
    assert set(POLICIES) == set(afterwards)
    assert "quarantined" == status.state
    assert status.calls <= 10
    assert "slow_hook_seconds" in status.reason


# The period and its report.


def test_a_report_holds_one_period_and_the_next_begins_where_it_ended(clock):
    with by_hand() as hand:
        hand.report()
        clock.now = 2_000.0
        take_place("Controller/home", clock, 5.0)
        first = hand.report()
        clock.now = 3_000.0
        second = hand.report()

    assert (1_000.0, 2_005.0, 2_005.0, 3_000.0) == (first.start, first.end, second.start, second.end)
    assert (["Controller/home"], []) == ([one.name for one in first.transactions], list(second.transactions))
    assert ([1], []) == ([len(first.traces)], list(second.traces))
    assert [f"{first.process.instance}-2", f"{first.process.instance}-3"] == [first.id, second.id]


def test_a_clock_that_is_set_back_makes_no_period_negative(clock):
    with by_hand() as hand:
        clock.now = 500.0
        set_back = hand.report()
        clock.now = 600.0
        after = hand.report()

    assert (500.0, 500.0) == (set_back.start, set_back.end)
    assert (500.0, 600.0) == (after.start, after.end)


def test_the_first_period_begins_with_the_first_transaction(quick):
    """A worker that waits for hours would else report one transaction in hours."""
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.02):
        started = time()
        eventually(lambda: time() > started + 0.05)
        begin = time()
        take_place("Controller/home")
        eventually(lambda: keeper.counted)

    assert begin <= keeper.reports[0].start <= keeper.reports[0].end


@pytest.mark.parametrize(
    ("settings", "requested", "period"),
    [
        ({}, {}, 60.0),
        ({}, {"one": 5.0}, 5.0),
        ({}, {"one": 30.0, "two": 10.0}, 10.0),
        ({}, {"one": 3_600.0}, 60.0),
        ({}, {"one": 0.001}, 1.0),
        ({"report_period": 20}, {"one": 5.0}, 20.0),
        ({"report_period": 20}, {"one": 120.0}, 20.0),
        ({"report_period": 0.5}, {}, 0.5),
    ],
)
def test_receivers_may_ask_for_more_frequent_reports_unless_the_user_chose(settings, requested, period):
    with by_hand(exporting(*map(Keeper, requested)), **settings) as hand:
        for outbox in hand.agent.recorder.outboxes:
            outbox.requested_interval = requested[outbox.name]

        assert period == hand.agent.recorder.period


def test_a_requested_interval_takes_effect_in_the_open_period(quick):
    """The default is a minute; a receiver that wants a report each second gets the second one after a second."""
    requesting = Behaving("requesting", lambda report: 1.0)
    with running(exporting(requesting)):
        take_place("Controller/home")
        eventually(lambda: len(requesting.reports) == 1)
        begin = monotonic()
        eventually(lambda: len(requesting.reports) == 2)

    assert 0.9 < monotonic() - begin < 10


def test_an_error_of_our_own_costs_one_turn_and_is_logged_once(quick, monkeypatch, caplog):
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.01) as agent:
        with monkeypatch.context() as broken:
            broken.setattr(agent.ledger, "take", lambda most: 1 / 0)
            take_place("Controller/home")
            eventually(lambda: [record for record in caplog.records if "ZeroDivisionError" in (record.exc_text or "")])
        eventually(lambda: keeper.counted == 1)

    assert 1 == len(caplog.records)


def test_a_transaction_that_cannot_be_counted_is_dropped_and_the_next_one_is_counted(monkeypatch, caplog):
    with by_hand() as hand:
        take_place("Controller/home")
        with monkeypatch.context() as broken:
            broken.setattr(choice.NameMetrics, "add", lambda *_: 1 / 0)
            take_place("Controller/broken")
            take_place("Controller/broken")
            hand.agent.recorder.work()
        take_place("Controller/home")
        report = hand.report()
        counters = hand.agent.counters()

    assert {"internal error": 3, "no exporter": 1} == counters.dropped
    assert 4 == counters.finished
    assert 1 == counted([report])
    assert 1 == len(caplog.records), "the first says it all"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: setattr(job, "tags", None),
        lambda job: setattr(job, "tags", {"key": 1, 5: 2}),
        lambda job: setattr(job.spans[0], "tags", 7),
    ],
    ids=["no tags", "a key that is no text", "tags of a span"],
)
def test_a_trace_that_a_policy_spoils_costs_the_others_nothing(spoil, caplog):
    spoiling = plugin(
        "spoiling", score_transaction=lambda transaction: spoil(transaction) if transaction.kind == "Job" else 1
    )
    with by_hand(spoiling, plugins_reraise=False) as hand:
        with transaction("Job/bad"), span("SQL/Query"):
            pass
        take_place("Controller/home")
        report = hand.report()
        counters = hand.agent.counters()

    assert {"Controller/home": 1, "Job/bad": 1} == {one.name: one.count for one in report.transactions}
    assert 2 == counters.finished
    assert len(report.traces) + counters.traces_lost == 2
    assert "Controller/home" in [trace.name for trace in report.traces]


@pytest.mark.parametrize(
    ("attribute", "value"), [("tags", None), ("operation", 5), ("queue_time", "soon"), ("queue_time", object())]
)
def test_figures_and_counters_agree_whatever_a_transaction_holds(attribute, value):
    with by_hand(plugins_reraise=False) as hand:
        with transaction("Job/bad") as bad, span("SQL/Query"):
            setattr(bad, attribute, value)
        with transaction("Job/bad"), span("SQL/Query") as inner:
            inner.operation = None
        take_place("Controller/home")
        report = hand.report()
        counters = hand.agent.counters()

    counted_in_figures = sum(one.count for one in report.transactions)
    assert 3 == counters.finished
    assert 3 - counters.dropped["internal error"] == counted_in_figures
    assert counted_in_figures == sum(one.kinds[one.name.partition("/")[0]].count for one in report.transactions)


def test_sys_exit_in_a_plugin_does_not_end_the_agents_thread(quick):
    def leave(report):
        raise SystemExit(1)

    keeper = Keeper()
    with running(exporting(keeper), plugin("leaving", on_report=leave), report_period=0.01) as agent:
        take_place("Controller/home")
        eventually(lambda: keeper.counted == 1)
        take_place("Controller/home")
        eventually(lambda: keeper.counted == 2)
        assert is_balanced(agent, "keeper")


def test_applications_that_are_faster_than_the_agents_thread_get_their_reports(quick):
    """Each transaction that is looked at is followed by two more, so the inbox is never empty again."""

    def two_more(transaction) -> None:
        for _ in range(2):
            take_place("Job/more")

    keeper = Keeper()
    with running(
        exporting(keeper), plugin("flood", on_request_end=two_more), max_queue=2_000, report_period=0.05
    ) as agent:
        take_place("Job/first")
        eventually(lambda: len(keeper.reports) > 3)
        assert len(agent.tracer.inbox) > 100
        begin = monotonic()
        agent.stop(1.0)
        took = monotonic() - begin

        assert took < 1.3
        assert is_balanced(agent, "keeper")
        assert 0 == agent.counters("keeper").queued
        assert keeper.counted == agent.counters("keeper").exported


def test_a_plugin_that_hangs_holds_up_the_end_no_longer_than_allowed(quick, caplog):
    released = threading.Event()
    keeper = Keeper()
    hanging = plugin("hanging", on_request_end=lambda transaction: released.wait(30))
    with running(exporting(keeper), hanging) as agent:
        take_place("Controller/home")
        eventually(lambda: agent.ledger.in_hand)
        begin = monotonic()
        agent.stop(0.3)
        took = monotonic() - begin
        assert is_balanced(agent, "keeper")
        released.set()
        agent.recorder._thread.join(20)
        counters = agent.counters("keeper")

    assert 0.3 <= took < 1.0
    assert (1, 0, 0) == (counters.finished, counters.exported, counters.queued)
    assert {"not sent before the process ended": 1} == counters.dropped
    assert "the agent's thread is busy in a plugin; its last period is lost" in caplog.text


def test_a_receiver_that_hangs_does_not_keep_the_others_from_their_last_report(quick, monkeypatch):
    """All are told to stop at once; one after the other, the second would have no time left."""
    released = threading.Event()
    is_down = [True]

    def down(report) -> None:
        if is_down[0]:
            raise ConnectionRefusedError

    hanging = Behaving("a-hanging", lambda report: released.wait(30))
    down_for_a_while = Behaving("b-down", down)
    with running(exporting(hanging, down_for_a_while), report_period=0.01) as agent:
        monkeypatch.setattr(outbox, "pause_after", lambda failures: 60.0)
        take_place("Controller/home")
        eventually(lambda: agent.recorder.outboxes[0]._is_sending)
        eventually(lambda: agent.recorder.outboxes[1]._failures)
        is_down[0] = False
        agent.stop(0.5)
        released.set()

    assert 1 == down_for_a_while.counted


def test_a_process_that_recorded_nothing_says_nothing():
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        assert None is agent.recorder._thread
        assert None is agent.recorder.outboxes[0]._thread

    assert [] == keeper.reports


# The promise that nothing is lost silently.


def test_every_transaction_is_accounted_for_at_every_moment(quick, monkeypatch):
    """Four threads, 20,000 transactions, exporters of every temper, an inbox and an outbox that are too small."""
    monkeypatch.setattr(outbox, "MAX_REPORTS", 3)
    draw = random.Random(1)
    gate = threading.Event()

    def fail_at_random(report) -> None:
        if draw.random() < 0.5:
            raise draw.choice([ConnectionResetError(), TimeoutError(), ValueError(), SystemExit(1)])

    def reject(report) -> None:
        raise RejectedReport("no", "collector answered 413")

    keeper = Keeper()
    flaky = Behaving("flaky", fail_at_random)
    rejecting = Behaving("rejecting", reject)
    blocking = Behaving("blocking", lambda report: gate.wait(60))
    names = ("keeper", "flaky", "rejecting", "blocking")
    own = Counter()
    samples = Counter()
    is_over = threading.Event()

    def produce(number: int) -> None:
        mine = Counter()
        for turn in range(5_000):
            with transaction(f"Controller/{turn % 7}" if turn % 2 else f"Job/{turn % 5}") as work:
                with span("SQL/Query"):
                    pass
                if turn % 10 == number:
                    work.ignore("by the test")
                    mine["ignored"] += 1
                elif turn % 25 == 7:
                    work.ignore("sampled")
                    mine["sampled"] += 1
                else:
                    mine["meant"] += 1
        with_lock.acquire()
        own.update(mine)
        with_lock.release()

    def watch() -> None:
        last = 0
        while not is_over.is_set():
            for name in names:
                if not is_balanced(agent, name):
                    samples["unbalanced"] += 1
                samples["looked"] += 1
            finished = agent.counters().finished
            samples["went back"] += finished < last
            last = finished

    with_lock = threading.Lock()
    with running(exporting(keeper, flaky, rejecting, blocking), max_queue=700, report_period=0.02) as agent:
        watcher = threading.Thread(target=watch)
        producers = [threading.Thread(target=produce, args=(number,)) for number in range(4)]
        for thread in (watcher, *producers):
            thread.start()
        for thread in producers:
            thread.join()
        eventually(lambda: not agent.tracer.inbox and not agent.ledger.in_hand and not agent.ledger.in_period)
        eventually(lambda: agent.counters("blocking").dropped.get("outbox full"))
        gate.set()
        agent.stop(20)
        is_over.set()
        watcher.join()
        counters = {name: agent.counters(name) for name in names}

    assert 20_000 == sum(own.values())
    assert (0, 0) == (samples["unbalanced"], samples["went back"])
    assert samples["looked"] > 500
    for name in names:
        assert 20_000 == counters[name].finished
        assert 20_000 == counters[name].exported + sum(counters[name].dropped.values())
        assert 0 == counters[name].queued
        assert counters["keeper"].dropped["inbox full"] == counters[name].dropped["inbox full"] > 0
    refused = counters["keeper"].dropped["inbox full"]
    for name, exporter in (("keeper", keeper), ("flaky", flaky), ("blocking", blocking)):
        assert counters[name].exported == exporter.counted > 0
        assert len(exporter.reports) == len({report.id for report in exporter.reports})
    decided = own["meant"] + own["ignored"] + own["sampled"] - refused
    assert decided == keeper.counted + sum(counters["keeper"].dropped[why] for why in ("ignored", "sampled"))
    assert counters["keeper"].dropped["ignored"] <= own["ignored"]
    assert {"ignored", "sampled", "inbox full"} == set(counters["keeper"].dropped)
    assert counters["rejecting"].dropped["collector answered 413"] == keeper.counted
    assert counters["blocking"].dropped["outbox full"] > 0
    lost = sum(counters["flaky"].dropped.get(why, 0) for why in ("outbox full", "not sent before the process ended"))
    assert counters["flaky"].exported + lost == keeper.counted


def test_reports_add_up_to_what_was_done_exactly(quick):
    """Nothing forces a drop here: two exporters get every transaction, span and error, whatever the periods were."""
    keepers = [Keeper("one"), Keeper("two")]
    with running(exporting(*keepers), report_period=0.005, max_queue=10**6) as agent:
        threads = [threading.Thread(target=work_hard, args=(500,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        agent.stop(20)

    for keeper in keepers:
        sums = Counter()
        for report in keeper.reports:
            for metrics in report.transactions:
                sums[metrics.name] += metrics.count
                sums["errors"] += metrics.errors
                sums["durations"] += metrics.durations.count
                sums["SQL"] += metrics.kinds["SQL"].count
        assert {
            "Controller/a": 1_000, "Job/b": 1_000, "errors": 200, "durations": 2_000, "SQL": 4_000,
        } == sums  # fmt: skip
        assert 2_000 == agent.counters(keeper.name).exported


def work_hard(turns: int) -> None:
    for turn in range(turns):
        with transaction("Controller/a" if turn % 2 else "Job/b", error=turn % 10 == 0):
            for _ in range(2):
                with span("SQL/Query"):
                    pass


# Code of the application that runs where nobody expects it.


class Cycle:
    """Garbage whose destructor traces; collected wherever the interpreter happens to be."""

    deleted = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        with transaction("Job/destructor"), span("Custom/goodbye"):
            type(self).deleted += 1


def test_a_destructor_that_traces_runs_amid_our_own_work(quick):
    """With the collector after every few objects, destructors run on every thread of ours, also while it holds a lock."""
    Cycle.deleted = 0
    keeper = Behaving("keeper", lambda report: [Cycle() for _ in range(3)] and None)

    def make_garbage(transaction) -> None:
        if transaction.operation != "Job/destructor":
            Cycle()

    done = []

    def produce() -> None:
        for _ in range(1_000):
            Cycle()
            take_place("Job/plain")
            agent.counters("keeper")
        done.append(True)

    before = gc.get_threshold()
    with running(exporting(keeper), plugin("garbage", on_request_end=make_garbage), report_period=0.005) as agent:
        gc.set_threshold(3, 2, 2)
        try:
            threads = [threading.Thread(target=produce, daemon=True) for _ in range(2)]
            for thread in threads:
                thread.start()
            eventually(lambda: len(done) == 2, 60)
            eventually(lambda: not agent.tracer.inbox)
        finally:
            gc.set_threshold(*before)
        gc.collect()
        agent.stop(20)
        counters = agent.counters("keeper")
    gc.collect()  # what the last report left; later it would trace in another test

    assert Cycle.deleted > 2_000
    assert counters.finished == counters.exported + sum(counters.dropped.values())
    assert counters.exported == keeper.counted
    # Before Python 3.12 most destructors run within a collection, where their transactions are counted, not recorded.
    assert counters.finished + counters.in_collection >= 2_000 + 2_000


def test_a_signals_handler_that_traces_interrupts_whatever_we_do(quick):
    handled = []

    def handler(number, frame) -> None:
        with transaction("Job/signal"), span("Custom/handler"):
            handled.append(agent.counters("keeper").finished)

    keeper = Keeper()
    plain = 0
    with running(exporting(keeper), report_period=0.01, max_queue=10**6) as agent:
        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            deadline = monotonic() + 60
            while len(handled) < 150:
                assert monotonic() < deadline
                take_place("Job/plain")
                plain += 1
                assert is_balanced(agent, "keeper")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        agent.stop(20)
        counters = agent.counters("keeper")

    # A handler that runs inside a transaction is a span of it.
    roots = sum(
        metrics.count for report in keeper.reports for metrics in report.transactions if "plain" in metrics.name
    )
    assert plain == roots
    assert counters.finished == counters.exported == keeper.counted


# What we hold on to.


def test_a_transaction_that_is_over_holds_nothing_even_in_a_context_that_lives_on():
    async def goes_on(barrier: asyncio.Event) -> None:
        await barrier.wait()
        assert None is current_transaction()
        with transaction("Job/later"):
            pass

    async def request(hand) -> None:
        barrier = asyncio.Event()
        with transaction("Controller/home") as web:
            with span("SQL/Query") as query:
                task = asyncio.create_task(goes_on(barrier))
                await asyncio.sleep(0)
        hand.report()
        assert [] == web.spans
        assert query.transaction is not web
        assert None is query.parent
        barrier.set()
        await task

    with by_hand() as hand:
        asyncio.run(request(hand))
        (later,) = hand.report().transactions

    assert "Job/later" == later.name
