"""Values that no clock and no process can have: refused or corrected at the intake, and shown when they are stored already."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import known_shop
import pytest
from attrs import evolve
from sample_reports import report, send
from visitor import Visitor, visitor_of

from scout_core.measuring.histogram import bucket_of, value_of
from scout_core.measuring.report import Report
from scout_core.sending import wire
from scout_dashboard.collector import Collector
from scout_dashboard.corrections import (
    EMPTY_PERIOD,
    FAR_TRACE,
    LATER_ERROR,
    LATER_TRACE,
    LONG_PERIOD,
    NO_NAME,
    START_OF_PROCESS,
)
from scout_dashboard.ranges import named_range
from scout_dashboard.store import Store, files

DAY = 86_400.0
PAGES = ("/", "/?range=7d", "/endpoints", "/jobs", "/errors", "/plugins", "/health")


def sent(collector: Collector, path: str, value: object) -> tuple[Report, int, str]:
    """
    Send a report with one value replaced.

    Args:
        path: separated by dots.

    Returns:
        The report as it was before, the status of the answer, and the reason.
    """
    base = report(end=time.time())
    facts = json.loads(wire.encode(base))
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = facts
    for part in way:
        inner = inner[part]
    inner[last] = value
    status, answer = send(collector.url, collector.token, json.dumps(facts).encode())
    return base, status, json.loads(answer).get("error", "")


def assert_every_page_works(visitor: Visitor, more: Sequence[str] = ()) -> None:
    """Check that pages and their JSON answer with 200."""
    for path in (
        *PAGES,
        *more,
        *(f"/json{path if len(path) > 1 else '/overview'}" for path in PAGES if "?" not in path),
    ):
        assert (path, 200) == (path, visitor.ask(path)[0])


NOW = time.time()
MAIL = f"transactions.{[metrics.name for metrics in report(end=NOW).transactions].index('Job/mail.send')}"
ONE_FAILED = {
    "count": 1, "errors": 1, "total": value_of(9), "durations": [[9, 1]], "queue_time": 0.0, "waits": [], "outcomes": {},
}  # fmt: skip
SLOW = {
    "seconds": 1.0,
    "quantile": 0.5,
    "timed": 100,
    "window": 100,
    "option": "hook_budget_seconds",
    "factor": 1,
    "limit": 0.1,
}
GROUP = {
    "group": "g", "title": "t", "exception": "E", "cause": "", "where": "", "message": "", "count": 2, "handled": 0,
    "endpoints": {"Controller/a": 2}, "first": NOW, "last": NOW,
}  # fmt: skip
IMPOSSIBLE: dict[str, tuple[str, Callable[[float], object], str]] = {
    "the start of a trace in milliseconds": ("traces.0.start", lambda now: now * 1_000, FAR_TRACE),
    "the start of a trace in nanoseconds": ("traces.0.start", lambda now: now * 1e9, FAR_TRACE),
    "a trace before the common era": ("traces.0.start", lambda now: -1e19, FAR_TRACE),
    "a trace of 1970": ("traces.0.start", lambda now: 0.0, FAR_TRACE),
    "a trace of the day after tomorrow": ("traces.0.start", lambda now: now + 2 * DAY, FAR_TRACE),
    "a trace of the week before": ("traces.0.start", lambda now: now - 7 * DAY, FAR_TRACE),
    "a trace of tonight": ("traces.0.start", lambda now: now + 20 * 3_600, LATER_TRACE),
    "a trace two minutes after its report": ("traces.0.start", lambda now: now + 120, LATER_TRACE),
    "an error of tonight": ("error_groups", lambda now: [{**GROUP, "last": now + 20 * 3_600}], LATER_ERROR),
    "a first error of tonight": (
        "error_groups",
        lambda now: [{**GROUP, "first": now + 9_000, "last": now + 9_000}],
        LATER_ERROR,
    ),
    "an application without a name": ("process.app", lambda now: "", NO_NAME),
    "an application of spaces": ("process.app", lambda now: " \t", NO_NAME),
    "a trace of 15 years": ("traces.0.duration", lambda now: 5e8, FAR_TRACE),
    "a process that started in milliseconds": ("process.started", lambda now: now * 1_000, START_OF_PROCESS),
    "a process that starts tomorrow": ("process.started", lambda now: now + DAY, START_OF_PROCESS),
    "a process of 1970": ("process.started", lambda now: 0.0, START_OF_PROCESS),
    "a process before the common era": ("process.started", lambda now: -1e18, START_OF_PROCESS),
    "a period since 1970": ("start", lambda now: 0.0, LONG_PERIOD),
    "a period before the common era": ("start", lambda now: -1e18, LONG_PERIOD),
    "a period of two days": ("start", lambda now: now - 2 * DAY, LONG_PERIOD),
}
"""Path, value at a time, and the reason that is shown."""
CONTRADICTIONS: dict[str, tuple[str, object]] = {
    "more errors than transactions": ("transactions.0.errors", 10**6),
    "more errors than spans": ("transactions.0.kinds.SQL.errors", 10**6),
    "more errors than jobs": (f"{MAIL}.queues.mail.errors", 10**6),
    "fewer errors than in its queues": (f"{MAIL}.queues", {"mail": ONE_FAILED}),
    "more transactions than durations": ("transactions.0.count", 10**6),
    "fewer transactions than durations": ("transactions.0.count", 1),
    "a bucket twice": ("transactions.0.durations", [[1, 1], [1, 2]]),
    "durations far beyond the limit": ("transactions.0.durations", [[10_000, 1]]),
    "a negative number of durations": ("transactions.0.durations", [[1, -1]]),
    "a negative total": ("transactions.0.total", -1.0),
    "a total above all durations": ("transactions.0.total", 1e6),
    "a total below all durations": ("transactions.0.total", 0.0),
    "time without spans": ("transactions.0.kinds.SQL.count", 0),
    "own time without spans": ("transactions.0.kinds.SQL", {"count": 0, "errors": 0, "total": 0.0, "exclusive": 1.0}),
    "a negative own time": ("transactions.0.kinds.SQL.exclusive", -1.0),
    "more queue times than transactions": ("transactions.0.queued", 10**6),
    "a queue time of no transaction": ("transactions.0.queued", 0),
    "a negative queue time of a name": ("transactions.0.queue_time", -1.0),
    "more jobs in queues than jobs": (f"{MAIL}.count", 1),
    "more waits than jobs": (f"{MAIL}.queues.mail.waits", [[1, 10**6]]),
    "a time waited above all waits": (f"{MAIL}.queues.mail.queue_time", 1e6),
    "a time waited by no job": (f"{MAIL}.queues.mail.waits", []),
    "more outcomes than jobs": (f"{MAIL}.queues.mail.outcomes", {"success": 10**6}),
    "a run time above all durations": (f"{MAIL}.queues.mail.total", 1e6),
    "more jobs than durations": (f"{MAIL}.queues.mail.count", 0),
    "a share above 1": ("traces.0.seen", {"share": 1.5}),
    "a quantile above 1": ("traces.0.seen", {"quantile": 2.0}),
    "a negative figure": ("traces.0.seen", {"count": -1.0}),
    "merged time without spans": ("traces.0.merged", {"SQL/Query": [0, 1.0]}),
    "two spans of one number": ("traces.0.spans.1.id", 1),
    "a span with the number of the transaction": ("traces.0.spans.0.id", 0),
    "more slow calls than the window": ("plugins.0.functions.0.too_slow", {**SLOW, "timed": 101}),
    "a quantile of calls above 1": ("plugins.0.functions.0.too_slow", {**SLOW, "quantile": 50.0}),
    "more errors than calls": ("plugins.0.functions.0.too_many_errors", {"errors": 2, "calls": 1}),
    "more handled errors than errors": ("error_groups", [{**GROUP, "handled": 3}]),
    "more errors in endpoints": ("error_groups", [{**GROUP, "endpoints": {"Controller/a": 2, "Job/b": 1}}]),
    "a first error after the last": ("error_groups", [{**GROUP, "first": NOW, "last": NOW - 1}]),
    "a negative count": ("counters.collector.finished", -1),
    "a period that ends before it starts": ("end", NOW - 120),
}


@pytest.mark.parametrize(("path", "value", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_time_is_corrected_and_everything_else_is_kept(collector, path, value, reason):
    base, status, _ = sent(collector, path, value(time.time()))
    visitor = visitor_of(collector)
    health = visitor.facts("/health")
    overview = collector.queries.overview(named_range("1h"))["totals"]
    count = sum(metrics.count for metrics in base.transactions if metrics.name.startswith("Controller/"))
    is_dropped = reason == FAR_TRACE

    assert 202 == status
    assert ({reason: 1}, {}) == (health["collector"]["corrected"], health["collector"]["rejected"])
    assert [{reason: 1}] == [process["corrected"] for process in health["processes"]]
    assert (count, float(count)) == (overview["count"], overview["throughput_per_minute"])
    assert len(base.traces) - is_dropped == visitor.facts("/traces?range=24h")["total"]
    (process,) = health["processes"]
    assert process["seen"] - 3_600 <= process["started"] <= process["seen"]
    assert f"{reason} 1" in visitor.page("/health").text
    name = quote(base.traces[0].name)
    assert_every_page_works(visitor, [f"/endpoint?name={name}", *(f"/trace/{trace.id}" for trace in base.traces[1:])])


def test_corrections_are_summed_for_each_process_and_logged_once(collector, caplog):
    for number in range(1, 4):
        base = report(end=time.time(), number=number)
        traces = tuple(evolve(trace, start=trace.start * 1_000) for trace in base.traces[:2])
        known_shop.send(collector, evolve(base, traces=(*traces, *base.traces[2:])))
    known_shop.send(collector, report(end=time.time(), instance="b" * 16))
    health = collector.queries.health()

    assert {FAR_TRACE: 6} == health["collector"]["corrected"]
    assert [{}, {FAR_TRACE: 6}] == sorted((process["corrected"] for process in health["processes"]), key=len)
    assert 1 == caplog.text.count("was corrected or cut")


def test_a_trace_of_a_long_job_is_kept(collector):
    """A job that runs for three days ends with its report."""
    base = report(end=time.time())
    long = evolve(base.traces[0], start=base.end - 3 * DAY, duration=3 * DAY - 1)
    known_shop.send(collector, evolve(base, traces=(long,)))

    assert {} == collector.queries.health()["collector"]["corrected"]
    assert long.duration * 1_000 == collector.queries.trace(long.id)["trace"]["duration_ms"]


def test_a_period_without_a_length_becomes_the_interval_of_the_process(collector):
    base = report(end=time.time(), traces=0)
    jobs = (known_shop.metrics("Job/tidy", 600, 0.01),)
    known_shop.send(collector, evolve(base, start=base.end, period=300.0, transactions=jobs))

    assert {EMPTY_PERIOD: 1} == collector.queries.health()["collector"]["corrected"]
    assert pytest.approx(120) == collector.queries.overview(named_range("1h"))["totals"]["throughput_per_minute"]


def test_figures_that_an_agent_may_send_are_accepted(collector):
    """Everything that is just allowed."""
    base = report(end=time.time())
    facts = json.loads(wire.encode(base))
    facts["error_groups"] = [{**GROUP, "handled": 2, "last": NOW}]
    facts["traces"][0]["seen"] = {"share": 1.0, "quantile": 0.0, "count": 0.0, "seconds_since_kept": 1e9}
    facts["plugins"][0]["functions"][0] |= {
        "errors": 10**6,
        "too_slow": SLOW,
        "too_many_errors": {"errors": 9, "calls": 9},
    }
    for metrics in facts["transactions"]:
        metrics["errors"] = metrics["count"]
        metrics["durations"], metrics["total"] = [[bucket_of(0.0), metrics["count"]]], 0.0

    assert 202 == send(collector.url, collector.token, json.dumps(facts).encode())[0]
    assert {} == collector.queries.health()["collector"]["corrected"]


def test_a_long_period_becomes_the_interval_of_the_process(collector):
    """A laptop that slept: the transactions are those of one interval."""
    base = report(end=time.time(), traces=0)
    jobs = (known_shop.metrics("Job/tidy", 600, 0.01),)
    known_shop.send(collector, evolve(base, start=base.end - 3 * DAY, period=300.0, transactions=jobs))

    assert pytest.approx(120) == collector.queries.overview(named_range("1h"))["totals"]["throughput_per_minute"]


WRONG = {
    "a queue time of ages": ("traces.0.queue_time", 1e19),
    "a negative queue time": ("traces.0.queue_time", -1.0),
    "a span ages after its transaction": ("traces.0.spans.0.start", 1e20),
    "a span ages before its transaction": ("traces.0.spans.0.start", -1e20),
    "negative seconds of merged spans": ("traces.0.merged", {"SQL/Query": [2, -1e20]}),
    "endless seconds of merged spans": ("traces.0.merged", {"SQL/Query": [2, 1e20]}),
    "a negative cost of a function": ("plugins.0.functions.0.p50", -1e20),
    "an endless cost of a function": ("plugins.0.functions.0.p95", 1e20),
    "an endless cost of a plugin": ("plugins.0.seconds_per_call", 1e20),
    "a negative interval": ("period", -5.0),
    "an endless interval": ("period", 1e20),
    "infinite gauges": ("gauges", {"process": {"rss_bytes": float("inf")}}),
    "a score that is not a number": ("traces.0.score", float("nan")),
}


@pytest.mark.parametrize(("path", "value"), [*WRONG.values(), *CONTRADICTIONS.values()], ids=[*WRONG, *CONTRADICTIONS])
def test_a_wrong_figure_is_refused_with_a_reason(collector, path, value):
    _, status, reason = sent(collector, path, value)

    assert 400 == status
    assert reason
    assert (
        " ".join(f"report refused The latest one: {reason[:400]}".split()) in visitor_of(collector).page("/health").text
    )
    assert ({"malformed": 1}, 0) == tuple(
        collector.queries.health()["collector"][key] for key in ("rejected", "reports")
    )


def test_long_facts_of_a_process_are_truncated(collector):
    for field in ("hostname", "agent", "python", "revision", "app"):
        assert 202 == sent(collector, f"process.{field}", "x" * 100_000)[1]

    assert len(visitor_of(collector).ask("/health")[2]) < 60_000


@pytest.mark.parametrize("value", [1.79e12, 1e20, -1e20, -62_135_596_801.0, 253_402_300_800.0, 0.0])
def test_pages_show_what_an_earlier_version_stored(tmp_path: Path, value: float) -> None:
    now = time.time()
    base = report(end=now)
    failed = evolve(base.traces[0], is_error=True, error=known_shop.ERROR)
    with closing(Store(tmp_path / "state" / "data")) as store:
        store.apply(evolve(base, traces=(failed, *base.traces[1:])), now=now)
        for kind in files.KINDS:
            with closing(sqlite3.connect(files.path_of(store.directory, kind, files.day_of(now)))) as connection:
                _spoil(connection, kind, value)
    with Collector.running(state_dir=tmp_path / "state") as collector:
        visitor = visitor_of(collector)
        assert_every_page_works(visitor, [f"/trace/{failed.id}", f"/endpoint?name={quote(failed.name)}"])
        shown = visitor.page(f"/trace/{failed.id}").text
        assert ("unknown time" in shown) == (value != 0.0)
        totals = visitor.facts("/overview")["totals"]

    assert totals["count"] / 1_500 < totals["throughput_per_minute"], "the rate of a day at worst, not of 50 years"


def _spoil(connection: sqlite3.Connection, kind: str, value: float) -> None:
    if kind == "traces":
        connection.execute("UPDATE trace SET start = ?", (value,))
    else:
        connection.execute(
            "UPDATE process SET started = :time, facts = json_set(facts, '$.process.started', :time, '$.period', :time)",
            {"time": value},
        )
        connection.execute("UPDATE app SET first = min(first, ?), period = ?", (value, abs(value)))
    connection.commit()
