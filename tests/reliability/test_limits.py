"""Limits of what an application records: names, spans, depth, large and odd values. Memory is bounded, and everything counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scout_core.measuring.report import Report
from tests.sizes import size
from tests.workbench import run_app

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason=f"not on {sys.platform}: memory of a process"
)

BEGIN = """
import sys, threading, time
import scout_core
from scout_core import span, transaction
from scout_core.sending import agent_thread

agent_thread.TICK = agent_thread.BUSY_TICK = 0.005  # the application waits for the agent below
agent = scout_core.start()


def keep_pace():
    while agent.tracer.inbox or agent.ledger.in_hand:
        time.sleep(0.001)


def peak_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) // 1024
"""
END = """
keep_pace()
print(peak_mib() - before)
scout_core.stop(60)
counters = agent.counters("collector")
assert counters.finished == counters.exported, counters
print(counters.finished)
"""


@pytest.fixture
def record(sink, tmp_path):
    """Return a function that runs a script: the MiB that it used beyond those of ``before``, and its transactions in reports."""

    def run(source: str) -> tuple[int, list[Report]]:
        done = run_app(
            BEGIN + source + END, tmp_path / "state", seconds=size(100, 3_600), SCOUT_SHUTDOWN_TIMEOUT_SECONDS="60"
        )
        assert (0, "") == (done.code, done.err)
        more_mib, finished = map(int, done.out.split())
        assert finished == sum(metrics.count for report in sink.reports for metrics in report.transactions)
        return more_mib, sink.reports

    return run


def test_distinct_names_are_bounded(record, record_property):
    """Names of transactions, kinds and operations; every one is counted, most of them as ``other``."""
    names = size(20_000, 1_000_000)
    more_mib, reports = record(
        f"""
def load(start, count):
    for number in range(start, start + count):
        with transaction(f"Controller/{{number}}", **{{f"tag{{number}}": number}}), span(f"Kind{{number}}/x{{number}}"):
            pass
        if number % 1_000 == 0:
            keep_pace()

load(0, 10_000)
before = peak_mib()
load(10_000, {names})
"""
    )

    record_property("names", f"{names}; peak memory {more_mib:+} MiB")
    assert more_mib < 24
    assert all(len(report.transactions) <= 502 for report in reports)
    counts = [metrics for report in reports for metrics in report.transactions]
    assert sum(metrics.count for metrics in counts if metrics.name == "Controller/other") > names - 20_000
    assert all(len(metrics.kinds) < 100 for metrics in counts)


def test_the_spans_of_a_transaction_are_bounded(record, record_property):
    spans = size(20_000, 1_000_000)
    more_mib, reports = record(
        f"""
with transaction("Job/first"):
    pass
before = peak_mib()
with transaction("Job/many"):
    for number in range({spans}):
        with span(f"SQL/{{number}}"):
            pass
"""
    )

    (many,) = (metrics for report in reports for metrics in report.transactions if metrics.name == "Job/many")
    (trace,) = (trace for report in reports for trace in report.traces if trace.name == "Job/many")
    record_property("spans of a transaction", f"{spans}; peak memory {more_mib:+} MiB")
    assert more_mib < 24
    assert spans == sum(metrics.count for kind, metrics in many.kinds.items() if kind != "Job")
    assert len(trace.spans) <= 1_501


DEEP = {
    "each ended": """
    with transaction("Job/deep"), ExitStack() as stack:
        for _ in range({depth}):
            stack.enter_context(span("Custom/deeper"))
""",
    "none ended": """
    with transaction("Job/deep"):
        for _ in range({depth}):
            span("Custom/deeper").__enter__()
        for _ in range(1_600):
            with span("SQL/Query"):
                pass
""",
    "a half ended": """
    with transaction("Job/deep"), ExitStack() as stack:
        for _ in range({depth} // 2):
            stack.enter_context(span("Custom/deeper"))
            span("Custom/open").__enter__()
""",
}


@pytest.mark.parametrize("how", DEEP)
def test_deep_nesting_is_recorded_in_linear_time(record, record_property, how):
    """The agent's thread needs milliseconds; a time that grows with the square of the depth would be reported on stderr."""
    depth = size(40_000, 100_000)
    more_mib, reports = record(
        f"""
from contextlib import ExitStack

before = peak_mib()
for number in range(3):
{DEEP[how].format(depth=depth)}
keep_pace()
assert time.clock_gettime(time.pthread_getcpuclockid(agent.recorder.thread.thread.ident)) < 5
"""
    )

    (deep,) = (metrics for report in reports for metrics in report.transactions)
    record_property(f"depth, {how}", f"{depth}; peak memory {more_mib:+} MiB")
    expected = {"each ended": ("Custom", depth), "none ended": ("SQL", 1_600), "a half ended": ("Custom", depth // 2)}
    kind, count = expected[how]
    assert 3 * count == deep.kinds[kind].count


ODD = """
import decimal, math


class Raising:
    def __getattribute__(self, name):
        raise SystemExit(name)
    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __getattribute__


cycle = {{}}
cycle["itself"] = cycle
endless = []
endless.append(endless)
deep = []
for _ in range(100_000):
    deep = [deep]
odd = [
    math.nan, math.inf, -math.inf, 10**5_000, -(2**63), decimal.Decimal("sNaN"), "\\ud800", "\\0", b"\\xff", cycle, endless, deep,
    Raising(), Raising, object(), "x" * 10_000_000, b"x" * 10_000_000, "\\U0010ffff" * 100_000, None, True, ..., type, iter(()),
]
with transaction("Job/first"):
    pass
keep_pace()
before = peak_mib()
for turn in range({turns}):
    for number, value in enumerate(odd):
        with transaction(f"Job/{{number}}", value=value) as job, span("Custom/odd", value=value) as one:
            for key in ("\\ud800", "", "x" * 1_000_000, "password"):
                one.tag(key, value)
                job.tag(key, value)
            for key in (b"\\xff", 3, None, ("a",), math.nan, odd):
                one.tag(key, value)
    for name in ("", "/", "\\ud800/\\udfff", "x" * 1_000_000, "a/" * 100_000, 3, None, b"x", cycle, Raising()):
        with transaction(name), span(name):
            pass
    keep_pace()
"""


def test_odd_values_are_recorded_or_left_out(record, record_property):
    turns = size(3, 3_000)
    more_mib, reports = record(ODD.format(turns=turns))

    record_property("odd values", f"{33 * turns} transactions; peak memory {more_mib:+} MiB")
    assert 33 * turns + 1 == sum(metrics.count for report in reports for metrics in report.transactions)
    assert more_mib < 64


def test_large_values_are_held_for_few_transactions(record, record_property):
    """Each transaction has 20 MB of its own in tags, which are held until the agent's thread has seen it, and longer in ten traces."""
    count = size(60, 2_000)
    more_mib, reports = record(
        f"""
with transaction("Job/first"):
    pass
keep_pace()
before = peak_mib()
for number in range({count}):
    with transaction(f"Job/{{number}}") as job, span("Custom/large", text=f"{{number}}" + "x" * 10_000_000):
        job.tag("text", f"{{number}}" + "y" * 10_000_000)
    keep_pace()
"""
    )

    record_property("tags of 10 MB", f"{2 * count}; peak memory {more_mib:+} MiB")
    assert more_mib < 10 * 20 + 100
    tags = [span.tags["text"] for report in reports for trace in report.traces for span in trace.spans if span.tags]
    assert {2_000} == {len(text) for text in tags}
