from __future__ import annotations

import asyncio
import contextvars
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
from scout_core.sending import agent_thread, choice, outbox, recorder, report_queue
from scout_core.sending import period as periods
from tests.sizes import size
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
    """A clock in seconds that only a test advances."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def seconds(self) -> float:
        return self.now

    def ns(self) -> int:
        return round(self.now * 1e9)


@pytest.fixture
def clock(monkeypatch):
    """Replace the clocks of spans and of the recorder, and return the replacement."""
    clock = Clock()
    monkeypatch.setattr("scout_core.recording.span.perf_counter_ns", clock.ns)
    monkeypatch.setattr("scout_core.recording.transaction.perf_counter_ns", clock.ns)
    monkeypatch.setattr(recorder, "monotonic", clock.seconds)
    monkeypatch.setattr(periods, "monotonic", clock.seconds)
    monkeypatch.setattr(choice, "monotonic", clock.seconds)
    monkeypatch.setattr(periods, "time", clock.seconds)
    return clock


@pytest.fixture
def quick(monkeypatch):
    """Shorten the waits of the agent's thread and the pauses between attempts, so that tests are fast."""
    monkeypatch.setattr(agent_thread, "TICK", 0.002)
    monkeypatch.setattr(periods, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr(outbox, "pause_after", lambda failures: 0.001)


class Driver:
    """An agent without a thread, whose recorder is driven by the test, and its reports."""

    def __init__(self, agent, reports) -> None:
        self.agent = agent
        self._reports = reports

    def report(self):
        """End the period, and return its report."""
        self.agent.recorder.work()
        self.agent.recorder.close_period()
        return self._reports[-1]

    def points(self, name: str = "Controller/home") -> dict[str, float]:
        """Return policy to points of the kept trace of a name."""
        return {trace.name: trace.policies for trace in self.report().traces}[name]

    def status(self, name: str):
        return {status.name: status for status in self.agent.plugin_statuses()}[name]


@contextmanager
def manual_agent(*plugins, **settings) -> Iterator[Driver]:
    reports: list[Report] = []
    collecting = plugin("test_collecting", on_report=lambda report: reports.append(report))
    with running(collecting, *plugins, threaded=False, **settings) as agent:
        yield Driver(agent, reports)


def record(name: str, clock: Clock | None = None, seconds: float = 0.0, **tags) -> None:
    with transaction(name, **tags):
        if clock is not None:
            clock.now += seconds


def test_every_transaction_is_counted_ignored_or_sampled():
    ended = []
    ignored = []
    decide = plugin(
        "test_decide",
        ignore_transaction=lambda transaction: transaction.operation == "Job/hidden",
        on_request_end=lambda transaction: ended.append(transaction.operation),
        on_ignore=lambda transaction, reason: ignored.append((transaction.operation, reason)),
    )
    with manual_agent(decide) as driver:
        record("Controller/home")
        record("Job/hidden")
        with transaction("Controller/left") as left:
            left.ignore("it is private")
        with transaction("Controller/rare") as rare:
            rare.ignore("sampled")
        report = driver.report()
        counters = driver.agent.counters()

    assert ["Controller/home"] == ended == [metrics.name for metrics in report.transactions]
    assert [
        ("Job/hidden", "by plugin test_decide"), ("Controller/left", "it is private"), ("Controller/rare", "sampled"),
    ] == ignored  # fmt: skip
    assert {"ignored": 2, "sampled": 1, "no exporter": 1} == counters.dropped
    assert (4, 0) == (counters.finished, counters.queued)


def test_on_error_is_called_before_the_transaction_is_counted():
    calls = []
    listening = plugin(
        "test_listening",
        on_error=lambda transaction, error: calls.append((transaction.operation, error.exception, error.message)),
        on_request_end=lambda transaction: calls.append(transaction.operation),
    )
    with manual_agent(listening) as driver:
        with pytest.raises(KeyError), transaction("Controller/home"):
            raise KeyError
        record("Controller/away")
        (home, _) = driver.report().transactions

    assert ["KeyError", "Controller/home", "Controller/away"] == [calls[0][1], *calls[1:]]
    assert 1 == home.errors


def test_names_beyond_the_limit_become_other_and_are_counted():
    with manual_agent(max_names=2) as driver:
        for name in ("Controller/a", "Job/b", "Controller/c", "Controller/d", "Job/e", "Controller/a"):
            record(name)
        first = {metrics.name: metrics.count for metrics in driver.report().transactions}
        record("Job/late")
        record("Job/b")
        second = driver.report()

    assert {"Controller/a": 2, "Job/b": 1, "Controller/other": 2, "Job/other": 1} == first
    assert {"Job/other": 1, "Job/b": 1} == {metrics.name: metrics.count for metrics in second.transactions}
    assert {"Job/other", "Job/b"} == {trace.name for trace in second.traces}
    assert 4 == driver.agent.counters().names_merged


def test_a_name_is_cut_to_three_hundred_characters():
    with manual_agent() as driver:
        record("Controller/" + "x" * 10_000)
        report = driver.report()

    assert (
        ["Controller/" + "x" * 289]
        == [metrics.name for metrics in report.transactions]
        == [trace.name for trace in report.traces]
    )


def test_spans_and_merged_spans_are_counted():
    with manual_agent(max_spans=2) as driver:
        with transaction("Controller/home"):
            for _ in range(5):
                with span("SQL/Query"):
                    pass
        driver.report()
        counters = driver.agent.counters()

    assert (5, 3) == (counters.spans, counters.spans_merged)


def test_an_invalid_queue_time_does_not_affect_the_count():
    """Such as a date where a Unix time is expected."""
    with manual_agent() as driver:
        with transaction("Job/mail") as job:
            job.queued_at = "2026-01-01"
        record("Job/mail")
        (mail,) = driver.report().transactions

    assert (2, 0) == (mail.count, mail.queued)


def test_the_points_of_the_four_policies_follow_their_formulas(clock):
    """The constants are those of scout_apm_ruby, with the percentile times 100 and the age limited."""
    draw = random.Random(4)
    names = ["Controller/a", "Controller/b", "Controller/c", "Job/d", "Job/e"]
    spent: dict[str, list[float]] = {name: [] for name in names}
    kept_at: dict[str, float] = {}
    cases = Counter()

    with manual_agent() as driver:
        for pause in (1_200.0, 240.0, 30.0):
            best: dict[str, tuple[float, dict[str, float]]] = {}
            for _ in range(40):
                name = draw.choice(names)
                duration = 1.1 ** draw.randrange(-40, 45)  # a step is five buckets, so ranks are exact
                record(name, clock, duration)
                driver.agent.recorder.work()
                kept_at.setdefault(name, clock.now)
                spent[name].append(duration)
                percentile = 100 * sum(other < duration * 0.999 for other in spent[name]) / len(spent[name])
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
                cases[points["percentile"], points["age"] == 2.5] += 1
                if name not in best or sum(points.values()) > best[name][0] + 1e-9:
                    best[name] = sum(points.values()), points
            report = driver.report()
            for name in best:
                kept_at[name] = clock.now
            clock.now += pause

            assert set(best) == {trace.name for trace in report.traces}
            for trace in report.traces:
                assert best[trace.name][1] == pytest.approx(trace.policies, abs=1e-6)
                assert best[trace.name][0] == pytest.approx(trace.score, abs=1e-6)
                assert sum(trace.policies.values()) == trace.score

    assert {0.4, 0.7, 1.4} == {value for value, _ in cases}, "every step of the percentile occurred"
    assert {True, False} == {is_limited for _, is_limited in cases}, "and the limit of the age"


@pytest.mark.parametrize(("seconds", "points"), [(1.0, 0.17), (10.0, 0.60), (60.0, 1.03)])
def test_speed_gives_the_documented_points(clock, seconds, points):
    with manual_agent() as driver:
        record("Controller/home", clock, seconds)

        assert points == pytest.approx(driver.points()["speed"], abs=0.005)


def test_the_best_ten_traces_of_web_requests_and_of_jobs_are_kept(clock):
    with manual_agent() as driver:
        for number in range(15):
            record(f"Controller/{number}", clock, 1.0 + number)
            record(f"Job/{number}", clock, 100.0 - number)
        report = driver.report()
        counts = Counter(is_web(trace.name) for trace in report.traces)

    assert {True: 10, False: 10} == counts
    assert 30 == len(report.transactions)
    for web in (True, False):
        scores = [trace.score for trace in report.traces if is_web(trace.name) is web]
        assert sorted(scores, reverse=True) == scores


def scoring(points: dict[str, float], name: str = "test_scoring"):
    return plugin(name, score_transaction=lambda transaction: points.get(transaction.operation))


def test_the_time_since_a_trace_was_kept_restarts_only_when_a_trace_is_kept(clock):
    """In scout_apm_ruby, a trace that entered the set counted as kept even when another replaced it in the same minute."""
    ages: dict[str, list[float]] = {"Controller/a": [], "Controller/b": []}
    kept = []
    listening = plugin(
        "test_listening",
        score_transaction=lambda transaction, stats: ages[transaction.operation].append(stats.seconds_since_kept),
        on_keep=lambda transaction, score: kept.append((transaction.operation, score)),
    )
    with manual_agent(
        listening, scoring({"Controller/a": 1.0, "Controller/b": 2.0}), traces_per_period=1, plugins_enable=()
    ) as driver:
        for _ in range(3):
            record("Controller/a")
            record("Controller/b")
            driver.agent.recorder.work()
            clock.now += 60
            driver.report()
            clock.now += 40

    assert {"Controller/a": [0.0, 100.0, 200.0], "Controller/b": [0.0, 40.0, 40.0]} == ages
    assert [("Controller/b", 2.0)] * 3 == kept


def test_on_keep_is_called_at_the_end_of_the_period_with_all_spans(clock):
    kept = []
    listening_for_kept = plugin(
        "test_listening_for_kept",
        on_keep=lambda transaction, score: kept.append([child.operation for child in transaction.spans]),
    )
    with manual_agent(listening_for_kept) as driver:
        with transaction("Controller/home"), span("SQL/Query"):
            pass
        driver.agent.recorder.work()
        before = list(kept)
        driver.report()

    assert [] == before
    assert [["SQL/Query"]] == kept


def test_weights_multiply_the_points_of_a_policy(clock):
    with manual_agent(
        scoring({"Controller/home": 1.5}), policies={"speed": 2.0, "age": 0, "test_scoring": 10}
    ) as driver:
        clock.now += 1
        record("Controller/home", clock, 1.0)
        points = driver.points()

    assert 15.0 == points["test_scoring"]
    assert 0.0 == points["age"]
    assert math.log(2) / 2 == pytest.approx(points["speed"])


@pytest.mark.parametrize(
    "invalid",
    ["5", math.nan, math.inf, -math.inf, object(), [1.0], Decimal("inf"), 1j, True],
    ids=lambda invalid: f"{type(invalid).__name__} {str(invalid)[:5]}",
)
def test_an_invalid_score_loses_only_the_points_of_its_policy(clock, invalid):
    with manual_agent() as driver:
        record("Controller/home", clock, 1.0)
        expected = driver.points()
    with manual_agent(
        scoring({"Controller/home": invalid}, "faulty"), scoring({"Controller/home": 3}, "other")
    ) as driver:
        record("Controller/home", clock, 1.0)
        points = driver.points()
        status = driver.status("faulty")

    assert {**expected, "other": 3.0} == pytest.approx(points)
    assert 1 == status.errors
    assert "a score must be a finite number or None" in status.last_error


@pytest.mark.parametrize("huge", [1e300, -1e300, 10**300, 1e18, Decimal("1e300")], ids=lambda huge: f"{huge:.0e}")
def test_points_are_limited_so_that_the_report_can_be_sent(clock, huge):
    """A receiver rejects a whole report that contains an unreasonable number."""
    with manual_agent(
        scoring({"Controller/home": huge}, "first"),
        scoring({"Controller/home": huge}, "second"),
        policies={"first": 1e9},
    ) as driver:
        record("Controller/home", clock, 1.0)
        points = driver.points()

    assert [math.copysign(1e9, huge)] * 2 == [points["first"], points["second"]]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)], ids=repr)
def test_a_policy_that_raises_is_disabled_and_loses_only_its_own_points(clock, error):
    def fail(transaction):
        raise error

    with manual_agent(plugin("failing", score_transaction=fail)) as driver:
        for _ in range(12):
            record("Controller/home", clock, 1.0)
        points = driver.points()
        status = driver.status("failing")

    assert set(POLICIES) == set(points)
    assert ("quarantined", 10, 10) == (status.state, status.calls, status.errors)
    assert "10 errors in a row" in status.reason


def test_a_slow_policy_is_disabled(clock):
    def slow(transaction):
        until = perf_counter() + 0.004
        while perf_counter() < until:
            pass
        return 1.0

    with manual_agent(plugin("slow", score_transaction=slow), slow_hook_seconds=0.002) as driver:
        for _ in range(10):
            record("Controller/home", clock, 1.0)
        before = driver.points()
        record("Controller/home", clock, 1.0)
        after = driver.points()
        status = driver.status("slow")

    assert {*POLICIES, "slow"} == set(before)
    assert set(POLICIES) == set(after)
    assert "quarantined" == status.state
    assert status.calls <= 10
    assert "slow_hook_seconds" in status.reason
    (function,) = status.functions
    too_slow = function.too_slow
    assert ("slow_hook_seconds", "too-slow", None) == (function.slow, function.off, function.too_many_errors)
    assert ("slow_hook_seconds", 0.5, 1, 0.002, 10, 100) == (
        too_slow.option, too_slow.quantile, too_slow.factor, too_slow.limit, too_slow.timed, too_slow.window
    )  # fmt: skip
    assert too_slow.seconds > too_slow.limit


def test_a_report_covers_a_period_and_the_next_report_starts_at_its_end(clock):
    with manual_agent() as driver:
        driver.report()
        clock.now = 2_000.0
        record("Controller/home", clock, 5.0)
        first = driver.report()
        clock.now = 3_000.0
        second = driver.report()

    assert (1_000.0, 2_005.0, 2_005.0, 3_000.0) == (first.start, first.end, second.start, second.end)
    assert (["Controller/home"], []) == ([metrics.name for metrics in first.transactions], list(second.transactions))
    assert ([1], []) == ([len(first.traces)], list(second.traces))
    assert [f"{first.process.instance}-2", f"{first.process.instance}-3"] == [first.id, second.id]


def test_a_period_is_not_negative_when_the_clock_is_set_back(clock):
    with manual_agent() as driver:
        clock.now = 500.0
        set_back = driver.report()
        clock.now = 600.0
        after = driver.report()

    assert (500.0, 500.0) == (set_back.start, set_back.end)
    assert (500.0, 600.0) == (after.start, after.end)


def test_the_first_period_starts_with_the_first_transaction(quick):
    """Otherwise a worker that was idle for hours would report a single transaction in hours."""
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.02):
        started = time()
        eventually(lambda: time() > started + 0.05)
        begin = time()
        record("Controller/home")
        eventually(lambda: keeper.counted)

    assert begin <= keeper.reports[0].start <= keeper.reports[0].end


@pytest.mark.parametrize(
    ("settings", "requested", "period"),
    [
        ({}, {}, 60.0),
        ({}, {"first": 5.0}, 5.0),
        ({}, {"first": 30.0, "second": 10.0}, 10.0),
        ({}, {"first": 3_600.0}, 60.0),
        ({}, {"first": 0.001}, 1.0),
        ({"report_period": 20}, {"first": 5.0}, 20.0),
        ({"report_period": 20}, {"first": 120.0}, 20.0),
        ({"report_period": 0.5}, {}, 0.5),
    ],
)
def test_receivers_can_request_more_frequent_reports_unless_the_period_is_configured(settings, requested, period):
    with manual_agent(exporting(*map(Keeper, requested)), **settings) as driver:
        for outbox in driver.agent.recorder.outboxes:
            outbox.requested_interval = requested[outbox.name]

        assert period == driver.agent.recorder.period


def test_a_requested_interval_takes_effect_in_the_open_period(quick):
    """The default is a minute; a receiver that requests a report every second gets the second report after a second."""
    requesting = Behaving("requesting", lambda report: 1.0)
    with running(exporting(requesting)):
        record("Controller/home")
        eventually(lambda: len(requesting.reports) == 1)
        begin = monotonic()
        eventually(lambda: len(requesting.reports) == 2)

    assert 0.9 < monotonic() - begin < 10


def test_an_internal_error_is_logged_once_and_the_thread_continues(quick, monkeypatch, caplog):
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.01) as agent:
        with monkeypatch.context() as broken:
            broken.setattr(agent.ledger, "take", lambda most: 1 / 0)
            record("Controller/home")
            eventually(lambda: [record for record in caplog.records if "ZeroDivisionError" in (record.exc_text or "")])
        eventually(lambda: keeper.counted == 1)

    assert 1 == len(caplog.records)


def test_a_transaction_that_cannot_be_counted_is_dropped_and_the_next_is_counted(monkeypatch, caplog):
    with manual_agent() as driver:
        record("Controller/home")
        with monkeypatch.context() as broken:
            broken.setattr(choice.NameMetrics, "add", lambda *_: 1 / 0)
            record("Controller/broken")
            record("Controller/broken")
            driver.agent.recorder.work()
        record("Controller/home")
        report = driver.report()
        counters = driver.agent.counters()

    assert {"internal error": 3, "no exporter": 1} == counters.dropped
    assert 4 == counters.finished
    assert 1 == counted([report])
    assert 1 == len(caplog.records), "only the first error is logged"


@pytest.mark.parametrize(
    "damage",
    [
        lambda job: setattr(job, "tags", None),
        lambda job: setattr(job, "tags", {"key": 1, 5: 2}),
        lambda job: setattr(job.spans[0], "tags", 7),
    ],
    ids=["no tags", "a key that is not a str", "tags of a span"],
)
def test_a_transaction_damaged_by_a_policy_does_not_affect_other_traces(damage, caplog):
    damaging = plugin(
        "damaging", score_transaction=lambda transaction: damage(transaction) if transaction.kind == "Job" else 1
    )
    with manual_agent(damaging, plugins_reraise=False) as driver:
        with transaction("Job/bad"), span("SQL/Query"):
            pass
        record("Controller/home")
        report = driver.report()
        counters = driver.agent.counters()

    assert {"Controller/home": 1, "Job/bad": 1} == {metrics.name: metrics.count for metrics in report.transactions}
    assert 2 == counters.finished
    assert len(report.traces) + counters.traces_lost == 2
    assert "Controller/home" in [trace.name for trace in report.traces]


@pytest.mark.parametrize(
    ("attribute", "value"), [("tags", None), ("operation", 5), ("queue_time", "soon"), ("queue_time", object())]
)
def test_metrics_and_counters_agree_for_transactions_with_invalid_values(attribute, value):
    with manual_agent(plugins_reraise=False) as driver:
        with transaction("Job/bad") as bad, span("SQL/Query"):
            setattr(bad, attribute, value)
        with transaction("Job/bad"), span("SQL/Query") as inner:
            inner.operation = None
        record("Controller/home")
        report = driver.report()
        counters = driver.agent.counters()

    counted_in_metrics = sum(metrics.count for metrics in report.transactions)
    assert 3 == counters.finished
    assert 3 - counters.dropped.get("internal error", 0) == counted_in_metrics
    assert counted_in_metrics == sum(
        metrics.kinds[metrics.name.partition("/")[0]].count for metrics in report.transactions
    )


def test_sys_exit_in_a_plugin_does_not_end_the_thread_of_the_agent(quick):
    def leave(report):
        raise SystemExit(1)

    keeper = Keeper()
    with running(exporting(keeper), plugin("leaving", on_report=leave), report_period=0.01) as agent:
        record("Controller/home")
        eventually(lambda: keeper.counted == 1)
        record("Controller/home")
        eventually(lambda: keeper.counted == 2)
        assert is_balanced(agent, "keeper")


def test_reports_are_sent_when_the_inbox_never_becomes_empty(quick):
    """Every processed transaction is followed by two more."""

    def two_more(transaction) -> None:
        for _ in range(2):
            contextvars.Context().run(record, "Job/more")  # in its own context a hook can record

    keeper = Keeper()
    with running(
        exporting(keeper), plugin("flood", on_request_end=two_more), max_queue=2_000, report_period=0.05
    ) as agent:
        record("Job/first")
        eventually(lambda: len(keeper.reports) > 3)
        assert len(agent.tracer.inbox) > 100
        begin = monotonic()
        agent.stop(1.0)
        took = monotonic() - begin

        assert took < 10
        assert is_balanced(agent, "keeper")
        assert 0 == agent.counters("keeper").queued
        assert keeper.counted == agent.counters("keeper").exported


def test_a_hanging_plugin_does_not_delay_the_stop_beyond_its_timeout(quick, caplog):
    released = threading.Event()
    keeper = Keeper()
    hanging = plugin("hanging", on_request_end=lambda transaction: released.wait(30))
    with running(exporting(keeper), hanging) as agent:
        record("Controller/home")
        eventually(lambda: agent.ledger.in_hand)
        begin = monotonic()
        agent.stop(0.3)
        took = monotonic() - begin
        assert is_balanced(agent, "keeper")
        released.set()
        agent.recorder.thread.thread.join(20)
        counters = agent.counters("keeper")

    assert 0.3 <= took < 10
    assert (1, 0, 0) == (counters.finished, counters.exported, counters.queued)
    assert {"not sent before the process ended": 1} == counters.dropped
    assert "plugin 'hanging': on_request_end did not return in time; the last period is lost" in caplog.text


def test_a_hanging_receiver_does_not_prevent_the_last_report_to_others(quick, monkeypatch):
    """All outboxes are stopped at the same time; in sequence, the first would wait for the second until no time is left."""
    recovered = threading.Event()
    is_down = [True]

    def down(report) -> None:
        if is_down[0]:
            raise ConnectionRefusedError
        recovered.set()

    hanging = Behaving("a-hanging", lambda report: recovered.wait(30))
    recovering = Behaving("b-recovering", down)
    with running(exporting(hanging, recovering), report_period=0.01) as agent:
        monkeypatch.setattr(outbox, "pause_after", lambda failures: 60.0)
        record("Controller/home")
        eventually(lambda: agent.recorder.outboxes[0]._queue.sending)
        eventually(lambda: agent.recorder.outboxes[1]._failures)
        is_down[0] = False
        agent.stop(10)

    assert 1 == recovering.counted


@pytest.mark.parametrize(
    ("is_child", "settings", "expected"),
    [(True, {}, [0, 0, 1, 1, 2]), (False, {}, [0, 0, 0, 0, 0]), (True, {"report_period": 30}, [0, 0, 0, 0, 0])],
)
def test_a_process_that_may_be_terminated_reports_when_it_has_been_quiet(
    clock, monkeypatch, is_child, settings, expected
):
    """Not while it works, not again without anything new, and not where the period is configured."""
    monkeypatch.setattr(periods, "is_child_of_multiprocessing", lambda: is_child)
    with running(exporting(Keeper()), threaded=False, **settings) as agent:
        period = agent.recorder.open_period
        period.begin()

        def reports_after(seconds, count):
            for _ in range(count):
                with transaction("Job/work"):
                    pass
            clock.now += seconds
            agent.recorder._look()
            return period.reports

        seen = [reports_after(0.6, 3), reports_after(0.6, 2), reports_after(1.1, 0), reports_after(1.1, 0)]
        reports_after(0.1, 1)
        seen.append(reports_after(1.1, 0))

    assert expected == seen


def test_a_process_that_recorded_nothing_sends_no_report():
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        assert None is agent.recorder.thread.thread
        assert None is agent.recorder.outboxes[0]._thread

    assert [] == keeper.reports


@pytest.mark.parametrize("seed", range(1, 1 + size(1, 10)))
def test_every_transaction_is_accounted_for_at_all_times(quick, monkeypatch, record_property, seed):
    """With four threads, 20,000 transactions, four kinds of exporters, and an inbox and outboxes that are too small."""
    monkeypatch.setattr(report_queue, "MAX_REPORTS", 3)
    draw = random.Random(seed)
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
    is_finished = threading.Event()

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
                    mine["reported"] += 1
        with_lock.acquire()
        own.update(mine)
        with_lock.release()

    def watch() -> None:
        last = 0
        while not is_finished.is_set():
            for name in names:
                if not is_balanced(agent, name):
                    samples["unbalanced"] += 1
                samples["taken"] += 1
            finished = agent.counters().finished
            samples["decreased"] += finished < last
            last = finished

    with_lock = threading.Lock()
    monkeypatch.setattr("scout_core.recording.limits.overflow.MOST_BRIEFS", 50)
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
        is_finished.set()
        watcher.join()
        counters = {name: agent.counters(name) for name in names}

    assert 20_000 == sum(own.values())
    assert (0, 0) == (samples["unbalanced"], samples["decreased"])
    assert samples["taken"] > 500
    for name in names:
        assert 20_000 == counters[name].finished
        assert 20_000 == counters[name].exported + sum(counters[name].dropped.values())
        assert 0 == counters[name].queued
        assert counters["keeper"].dropped["inbox full"] == counters[name].dropped["inbox full"] > 0
    refused = counters["keeper"].dropped["inbox full"]
    for name, exporter in (("keeper", keeper), ("flaky", flaky), ("blocking", blocking)):
        assert counters[name].exported == exporter.counted > 0
        assert len(exporter.reports) == len({report.id for report in exporter.reports})
    decided = own["reported"] + own["ignored"] + own["sampled"] - refused
    assert decided == keeper.counted + sum(counters["keeper"].dropped[reason] for reason in ("ignored", "sampled"))
    assert counters["keeper"].dropped["ignored"] <= own["ignored"]
    assert {"ignored", "sampled", "inbox full"} == set(counters["keeper"].dropped)
    assert counters["rejecting"].dropped["collector answered 413"] == keeper.counted
    assert counters["blocking"].dropped["outbox full"] > 0
    lost = sum(
        counters["flaky"].dropped.get(reason, 0) for reason in ("outbox full", "not sent before the process ended")
    )
    assert counters["flaky"].exported + lost == keeper.counted
    record_property(
        "counters", f"{samples['taken']} readings, all balanced; {refused} of 20000 did not fit into the inbox"
    )


def test_reports_add_up_to_exactly_what_was_recorded(quick):
    """Nothing is dropped here: two exporters get every transaction, span and error, however the periods divide them."""
    keepers = [Keeper("first"), Keeper("second")]
    with running(exporting(*keepers), report_period=0.005, max_queue=10**6) as agent:
        threads = [threading.Thread(target=record_many, args=(500,)) for _ in range(4)]
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


def record_many(turns: int) -> None:
    for turn in range(turns):
        with transaction("Controller/a" if turn % 2 else "Job/b", error=turn % 10 == 0):
            for _ in range(2):
                with span("SQL/Query"):
                    pass


class Cycle:
    """A reference cycle whose destructor records a transaction; the interpreter may free it anywhere."""

    deleted = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        with transaction("Job/destructor"), span("Custom/goodbye"):
            type(self).deleted += 1


def test_destructors_that_record_can_run_within_our_code(quick):
    """With frequent collections, destructors run on each of our threads, even while it holds a lock."""
    Cycle.deleted = 0
    keeper = Behaving("keeper", lambda report: [Cycle() for _ in range(3)] and None)

    def make_garbage(transaction) -> None:
        if transaction.operation != "Job/destructor":
            Cycle()

    done = []

    def produce() -> None:
        for _ in range(1_000):
            Cycle()
            record("Job/plain")
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
    gc.collect()  # the cycles of the last report, which would otherwise record in another test

    assert Cycle.deleted > 2_000
    assert counters.finished == counters.exported + sum(counters.dropped.values())
    assert counters.exported == keeper.counted
    # Destructors may run within a collection (not recorded before Python 3.12) or while a hook runs: counted, not recorded.
    assert counters.finished + counters.in_collection + counters.in_hooks >= 2_000 + 2_000


def test_a_signal_handler_that_records_can_interrupt_our_code(quick):
    handled = []

    def handler(number, frame) -> None:
        with transaction("Job/signal"), span("Custom/handler"):
            handled.append(agent.counters("keeper").finished)
        signal.setitimer(signal.ITIMER_REAL, 0.001)  # not by an interval: on a slow machine a handler takes longer

    keeper = Keeper()
    plain = 0
    with running(exporting(keeper), report_period=0.01, max_queue=10**6) as agent:
        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        try:
            deadline = monotonic() + 60
            while len(handled) < 150:
                assert monotonic() < deadline
                record("Job/plain")
                plain += 1
                assert is_balanced(agent, "keeper")
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
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


def test_a_finished_transaction_keeps_nothing_even_in_a_context_that_is_still_used():
    async def continue_later(barrier: asyncio.Event) -> None:
        await barrier.wait()
        assert None is current_transaction()
        with transaction("Job/later"):
            pass

    async def request(driver) -> None:
        barrier = asyncio.Event()
        with transaction("Controller/home") as web:
            with span("SQL/Query") as query:
                task = asyncio.create_task(continue_later(barrier))
                await asyncio.sleep(0)
        driver.report()
        assert [] == web.spans
        assert query.transaction is not web
        assert None is query.parent
        barrier.set()
        await task

    with manual_agent() as driver:
        asyncio.run(request(driver))
        (later,) = driver.report().transactions

    assert "Job/later" == later.name
