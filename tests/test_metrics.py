"""Figures of real spans whose clock the test holds, so that every nanosecond is accounted for."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack
from contextvars import copy_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core import span, transaction
from scout_core.measuring.metrics import MAX_KINDS, NameMetrics
from scout_core.measuring.report import KindMetrics, TransactionMetrics
from tests.workbench import running


class Clock:
    """Nanoseconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now

    def passes(self, ns: int) -> None:
        self.now += ns


@pytest.fixture
def clock(monkeypatch):
    return install(Clock(), monkeypatch)


def install(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    for module in ("span", "transaction"):
        monkeypatch.setattr(f"scout_core.recording.{module}.perf_counter_ns", clock)
    return clock


@pytest.fixture
def agent():
    with running(threaded=False) as agent:
        yield agent


def figures(agent, *, name: str = "Controller/home") -> TransactionMetrics:
    """Of all transactions that ended."""
    metrics = NameMetrics()
    while agent.tracer.inbox:
        metrics.add(agent.tracer.inbox.popleft())
    return metrics.freeze(name)


def exclusive(agent) -> dict[str, int]:
    """Kind to nanoseconds."""
    return {kind: round(one.exclusive * 1e9) for kind, one in figures(agent).kinds.items()}


def test_everything_is_counted_by_name_and_kind(agent, clock):
    for failing in (False, True):
        with transaction("Controller/home", error=failing) as request:
            clock.passes(1)
            with span("Template/Render"):
                clock.passes(10)
                with span("SQL/Query"):
                    clock.passes(100)
                with pytest.raises(KeyError), span("SQL/Query"):
                    clock.passes(1_000)
                    raise KeyError
        request.queue_time = 2.0 if failing else None

    found = figures(agent)

    assert ("Controller/home", 2, 1, 2_222e-9) == (found.name, found.count, found.errors, found.total)
    assert (2.0, 1) == (found.queue_time, found.queued)
    assert 2 == found.durations.count
    assert {
        "SQL": KindMetrics(count=4, errors=2, total=2_200e-9, exclusive=2_200e-9),
        "Template": KindMetrics(count=2, errors=0, total=2_220e-9, exclusive=20e-9),
        "Controller": KindMetrics(count=2, errors=1, total=2_222e-9, exclusive=2e-9),
    } == found.kinds


trees = st.recursive(
    st.tuples(st.sampled_from(["SQL/a", "SQL/b", "View/v", "HTTP/GET"]), st.integers(0, 50), st.just(())),
    lambda inner: st.tuples(
        st.sampled_from(["SQL/a", "View/v", "View/w", "Controller/x"]), st.integers(0, 50), st.lists(inner, max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(trees, max_size=4), st.integers(0, 30))
def test_exclusive_times_add_up_to_the_transaction_also_when_spans_are_merged(children, max_spans):
    expected: Counter[str] = Counter()
    counts: Counter[str] = Counter()

    def play(clock, own, children):
        clock.passes(own)
        for operation, own_inner, inner in children:
            kind = operation.partition("/")[0]
            expected[kind] += own_inner
            counts[kind] += 1
            with span(operation):
                play(clock, own_inner, inner)

    with pytest.MonkeyPatch.context() as monkeypatch, running(threaded=False, max_spans=max_spans) as agent:
        clock = install(Clock(), monkeypatch)
        expected["Controller"] += 7
        counts["Controller"] += 1
        with transaction("Controller/home"):
            play(clock, 7, children)
        (ended,) = agent.tracer.inbox
        found = figures(agent)

    assert min(max_spans, sum(counts.values()) - 1) == len(ended.spans)
    assert counts == {kind: one.count for kind, one in found.kinds.items()}
    assert {kind: expected[kind] for kind in counts} == {
        kind: round(one.exclusive * 1e9) for kind, one in found.kinds.items()
    }
    assert ended.stop_ns - ended.start_ns == sum(expected.values())


def test_parallel_children_count_in_full_and_their_parent_does_not_become_negative(agent, clock):
    async def child(barrier: asyncio.Event) -> None:
        with span("HTTP/GET"):
            await barrier.wait()

    async def request() -> None:
        barrier = asyncio.Event()
        with transaction("Controller/home"):
            clock.passes(5)
            with span("View/v"):
                tasks = [asyncio.create_task(child(barrier)) for _ in range(3)]
                await asyncio.sleep(0)
                clock.passes(100)
                barrier.set()
                await asyncio.gather(*tasks)

    asyncio.run(request())

    assert {"HTTP": 300, "View": 0, "Controller": 5} == exclusive(agent)


def test_a_child_that_outlives_its_parent_takes_time_of_whoever_is_open_then(agent, clock):
    """Otherwise the time after the parent's end would count twice: for the child, and for the transaction."""

    async def child(barrier: asyncio.Event) -> None:
        with span("HTTP/GET"):
            await barrier.wait()

    async def request() -> None:
        barrier = asyncio.Event()
        with transaction("Controller/home"):
            clock.passes(1)
            with span("View/v"):
                clock.passes(10)
                task = asyncio.create_task(child(barrier))
                await asyncio.sleep(0)
                clock.passes(100)
            clock.passes(1_000)
            barrier.set()
            await task
            clock.passes(10_000)

    asyncio.run(request())

    assert {"HTTP": 1_100, "View": 10, "Controller": 10_001} == exclusive(agent)


def test_a_child_that_begins_after_its_parent_has_ended_takes_time_of_the_next_ancestor(agent, clock):
    with transaction("Controller/home"):
        with span("View/v"):
            clock.passes(1)
            inside = copy_context()
        inside.run(lambda: spend(clock, "HTTP/GET", 10))

    assert {"View": 1, "HTTP": 10, "Controller": 0} == exclusive(agent)


def spend(clock: Clock, operation: str, ns: int) -> None:
    with span(operation):
        clock.passes(ns)


def test_the_children_of_a_span_that_never_ended_take_time_of_the_next_ancestor(agent, clock):
    with transaction("Controller/home"):
        clock.passes(1)
        span("View/abandoned").__enter__()
        spend(clock, "SQL/Query", 10)

    assert {"SQL": 10, "Controller": 1} == exclusive(agent)


def test_the_children_of_a_span_that_ended_too_late_take_time_of_the_next_ancestor(agent, clock):
    late = ExitStack()
    with transaction("Controller/home"):
        clock.passes(1)
        late.enter_context(span("View/late"))
        spend(clock, "SQL/Query", 10)
    clock.passes(100)
    late.close()

    assert {"SQL": 10, "Controller": 1} == exclusive(agent)
    assert 1 == agent.counters().late_spans


@pytest.mark.parametrize("max_spans", [0, 1, 2, 3, 10])
def test_where_the_limit_falls_changes_no_figure(clock, max_spans):
    with running(threaded=False, max_spans=max_spans) as agent:
        with transaction("Controller/home"), span("View/v"):
            clock.passes(1)
            spend(clock, "SQL/a", 10)
            spend(clock, "SQL/b", 100)
            with pytest.raises(ValueError, match="1"), span("SQL/a"):
                clock.passes(1_000)
                raise ValueError(1)
        found = figures(agent)

    assert {
        "SQL": KindMetrics(count=3, errors=1, total=1_110e-9, exclusive=1_110e-9),
        "View": KindMetrics(count=1, errors=0, total=1_111e-9, exclusive=1e-9),
        "Controller": KindMetrics(count=1, errors=0, total=1_111e-9, exclusive=0.0),
    } == found.kinds


def test_a_merged_child_that_outlives_its_parent_leaves_the_parents_time_alone(clock):
    with running(threaded=False, max_spans=1) as agent:
        with transaction("Controller/home"):
            with span("View/v"):
                clock.passes(1)
                inside = copy_context()
            inside.run(lambda: spend(clock, "HTTP/GET", 10))

        assert {"View": 1, "HTTP": 10, "Controller": 0} == exclusive(agent)


def test_a_hundred_thousand_operations_in_one_transaction_are_bounded(clock):
    with running(threaded=False, max_spans=10) as agent:
        with transaction("Controller/home") as request:
            for number in range(100_000):
                spend(clock, f"K{number}/x", 1)
        found = figures(agent)

    assert 101 >= len(request.merged)
    assert 99_990 == sum(count for count, *_ in request.merged.values())
    assert MAX_KINDS + 1 >= len(found.kinds)
    assert 100_001 == sum(one.count for one in found.kinds.values())
    assert 100_000 == round(sum(one.exclusive for one in found.kinds.values()) * 1e9)


def test_kinds_beyond_the_limit_are_counted_as_other(agent, clock):
    with transaction("Controller/home"):
        for number in range(MAX_KINDS + 5):
            spend(clock, f"Kind{number}/x", 1)
    kinds = figures(agent).kinds

    assert MAX_KINDS + 1 == len(kinds)
    assert 6 == kinds["Other"].count, "five kinds and the transaction itself, which comes last"


def test_a_kind_is_cut_to_a_hundred_characters(agent, clock):
    with transaction("Controller/home"):
        spend(clock, "x" * 1_000_000, 1)
        spend(clock, "x" * 1_000_000, 1)

    assert {"x" * 100: 2, "Controller": 0} == exclusive(agent)


def test_the_own_kind_of_a_transaction_adds_to_spans_of_that_kind(agent, clock):
    with transaction("Job/a"):
        clock.passes(1)
        with transaction("Job/inner"):
            clock.passes(10)

    assert {"Job": KindMetrics(count=2, errors=0, total=21e-9, exclusive=11e-9)} == figures(agent).kinds
