"""Metrics of real spans with a clock that the test controls, so that every nanosecond is accounted for."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack, contextmanager
from contextvars import copy_context

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core import span, transaction
from scout_core.instruments.jobs import job
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.metrics import MAX_KINDS, NameMetrics
from scout_core.measuring.queues import MAX_OUTCOMES, MAX_QUEUES
from scout_core.measuring.report import KindMetrics, QueueMetrics, TransactionMetrics
from tests.workbench import running


class Clock:
    """A clock in nanoseconds that only a test advances."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        return self.now

    def advance(self, ns: int) -> None:
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
    """Return the metrics of all finished transactions."""
    metrics = NameMetrics(has_queues=not agent.tracer.inbox[0].is_web)
    while agent.tracer.inbox:
        metrics.add(agent.tracer.inbox.popleft())
    return metrics.freeze(name)


def exclusive(agent) -> dict[str, int]:
    """Return kind to exclusive nanoseconds."""
    return {kind: round(metrics.exclusive * 1e9) for kind, metrics in figures(agent).kinds.items()}


def test_transactions_and_spans_are_counted_by_name_and_kind(agent, clock):
    for failing in (False, True):
        with transaction("Controller/home", error=failing) as request:
            clock.advance(1)
            with span("Template/Render"):
                clock.advance(10)
                with span("SQL/Query"):
                    clock.advance(100)
                with pytest.raises(KeyError), span("SQL/Query"):
                    clock.advance(1_000)
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
def test_exclusive_times_add_up_to_the_duration_of_the_transaction_with_and_without_merged_spans(children, max_spans):
    expected: Counter[str] = Counter()
    counts: Counter[str] = Counter()

    def record(clock, own, children):
        clock.advance(own)
        for operation, own_inner, inner in children:
            kind = operation.partition("/")[0]
            expected[kind] += own_inner
            counts[kind] += 1
            with span(operation):
                record(clock, own_inner, inner)

    with pytest.MonkeyPatch.context() as monkeypatch, running(threaded=False, max_spans=max_spans) as agent:
        clock = install(Clock(), monkeypatch)
        expected["Controller"] += 7
        counts["Controller"] += 1
        with transaction("Controller/home"):
            record(clock, 7, children)
        (ended,) = agent.tracer.inbox
        found = figures(agent)

    assert min(max_spans, sum(counts.values()) - 1) == len(ended.spans)
    assert counts == {kind: metrics.count for kind, metrics in found.kinds.items()}
    assert {kind: expected[kind] for kind in counts} == {
        kind: round(metrics.exclusive * 1e9) for kind, metrics in found.kinds.items()
    }
    assert ended.stop_ns - ended.start_ns == sum(expected.values())


def test_parallel_children_count_in_full_and_the_time_of_their_parent_is_not_negative(agent, clock):
    async def child(barrier: asyncio.Event) -> None:
        with span("HTTP/GET"):
            await barrier.wait()

    async def request() -> None:
        barrier = asyncio.Event()
        with transaction("Controller/home"):
            clock.advance(5)
            with span("View/v"):
                tasks = [asyncio.create_task(child(barrier)) for _ in range(3)]
                await asyncio.sleep(0)
                clock.advance(100)
                barrier.set()
                await asyncio.gather(*tasks)

    asyncio.run(request())

    assert {"HTTP": 300, "View": 0, "Controller": 5} == exclusive(agent)


def test_a_child_that_outlives_its_parent_is_subtracted_from_the_open_ancestor(agent, clock):
    """Otherwise the time after the end of the parent would count twice: for the child, and for the transaction."""

    async def child(barrier: asyncio.Event) -> None:
        with span("HTTP/GET"):
            await barrier.wait()

    async def request() -> None:
        barrier = asyncio.Event()
        with transaction("Controller/home"):
            clock.advance(1)
            with span("View/v"):
                clock.advance(10)
                task = asyncio.create_task(child(barrier))
                await asyncio.sleep(0)
                clock.advance(100)
            clock.advance(1_000)
            barrier.set()
            await task
            clock.advance(10_000)

    asyncio.run(request())

    assert {"HTTP": 1_100, "View": 10, "Controller": 10_001} == exclusive(agent)


def test_a_child_that_starts_after_the_end_of_its_parent_is_subtracted_from_the_next_ancestor(agent, clock):
    with transaction("Controller/home"):
        with span("View/v"):
            clock.advance(1)
            inside = copy_context()
        inside.run(lambda: spend(clock, "HTTP/GET", 10))

    assert {"View": 1, "HTTP": 10, "Controller": 0} == exclusive(agent)


def spend(clock: Clock, operation: str, ns: int) -> None:
    with span(operation):
        clock.advance(ns)


def test_children_of_an_unclosed_span_are_subtracted_from_the_next_ancestor(agent, clock):
    with transaction("Controller/home"):
        clock.advance(1)
        span("View/abandoned").__enter__()
        spend(clock, "SQL/Query", 10)

    assert {"SQL": 10, "Controller": 1} == exclusive(agent)


def test_children_of_a_late_span_are_subtracted_from_the_next_ancestor(agent, clock):
    late = ExitStack()
    with transaction("Controller/home"):
        clock.advance(1)
        late.enter_context(span("View/late"))
        spend(clock, "SQL/Query", 10)
    clock.advance(100)
    late.close()

    assert {"SQL": 10, "Controller": 1} == exclusive(agent)
    assert 1 == agent.counters().late_spans


@pytest.mark.parametrize("max_spans", [0, 1, 2, 3, 10])
def test_the_limit_of_spans_does_not_change_the_metrics(clock, max_spans):
    with running(threaded=False, max_spans=max_spans) as agent:
        with transaction("Controller/home"), span("View/v"):
            clock.advance(1)
            spend(clock, "SQL/a", 10)
            spend(clock, "SQL/b", 100)
            with pytest.raises(ValueError, match="1"), span("SQL/a"):
                clock.advance(1_000)
                raise ValueError(1)
        found = figures(agent)

    assert {
        "SQL": KindMetrics(count=3, errors=1, total=1_110e-9, exclusive=1_110e-9),
        "View": KindMetrics(count=1, errors=0, total=1_111e-9, exclusive=1e-9),
        "Controller": KindMetrics(count=1, errors=0, total=1_111e-9, exclusive=0.0),
    } == found.kinds


def test_a_merged_child_that_outlives_its_parent_is_not_subtracted_from_it(clock):
    with running(threaded=False, max_spans=1) as agent:
        with transaction("Controller/home"):
            with span("View/v"):
                clock.advance(1)
                inside = copy_context()
            inside.run(lambda: spend(clock, "HTTP/GET", 10))

        assert {"View": 1, "HTTP": 10, "Controller": 0} == exclusive(agent)


def test_a_hundred_thousand_operations_in_a_transaction_are_limited(clock):
    with running(threaded=False, max_spans=10) as agent:
        with transaction("Controller/home") as request:
            for number in range(100_000):
                spend(clock, f"K{number}/x", 1)
        found = figures(agent)

    assert 101 >= len(request.merged)
    assert 99_990 == sum(count for count, *_ in request.merged.values())
    assert MAX_KINDS + 1 >= len(found.kinds)
    assert 100_001 == sum(metrics.count for metrics in found.kinds.values())
    assert 100_000 == round(sum(metrics.exclusive for metrics in found.kinds.values()) * 1e9)


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


def test_a_transaction_and_its_spans_of_the_same_kind_are_added(agent, clock):
    with transaction("Job/a"):
        clock.advance(1)
        with transaction("Job/inner"):
            clock.advance(10)

    assert {"Job": KindMetrics(count=2, errors=0, total=21e-9, exclusive=11e-9)} == figures(agent).kinds


@pytest.fixture
def stepping(clock, monkeypatch):
    for module in ("stepwise.steps", "stepwise.deferred", "stepwise.streams"):
        monkeypatch.setattr(f"scout_core.recording.{module}.perf_counter_ns", clock)
    return clock


def times(agent) -> dict[str, tuple[int, int]]:
    """Return kind to the nanoseconds of its spans, and to those that were their own."""
    kinds = figures(agent).kinds.items()
    return {kind: (round(metrics.total * 1e9), round(metrics.exclusive * 1e9)) for kind, metrics in kinds}


@pytest.mark.parametrize("max_spans", [100, 0, 1], ids=["listed", "merged", "both"])
def test_the_pauses_of_a_generator_are_not_its_own_time(stepping, max_spans):
    @span("Rows/Fetch")
    def fetch():
        for _ in range(3):
            stepping.advance(2)
            with span("SQL/Query"):
                stepping.advance(10)
            yield

    with running(threaded=False, max_spans=max_spans) as agent:
        with transaction("Controller/home"):
            for _ in fetch():
                stepping.advance(100)
                with span("View/Row"):
                    stepping.advance(1_000)

        assert {"Rows": (36, 6), "SQL": (30, 30), "View": (3_000, 3_000), "Controller": (3_336, 300)} == times(agent)


def test_the_pauses_of_an_async_generator_are_not_its_own_time(agent, stepping):
    @span("Rows/Fetch")
    async def fetch():
        for _ in range(2):
            await asyncio.sleep(0)
            stepping.advance(10)
            yield

    async def main():
        with transaction("Controller/home"):
            async for _ in fetch():
                stepping.advance(100)

    asyncio.run(main())

    assert {"Rows": (20, 20), "Controller": (220, 200)} == times(agent)


def test_a_span_that_is_open_while_its_generator_pauses_has_the_pauses_neither(agent, stepping):
    @span("Rows/Fetch")
    def fetch():
        with span("SQL/Cursor"), span("SQL/Open"):
            for _ in range(3):
                stepping.advance(10)
                yield

    with transaction("Controller/home"):
        for _ in fetch():
            stepping.advance(100)

    assert {"Rows": (30, 0), "SQL": (60, 30), "Controller": (330, 300)} == times(agent)


def test_generators_within_generators_have_their_own_times(agent, stepping):
    @span("Inner/Fetch")
    def inner():
        for _ in range(3):
            stepping.advance(1)
            yield

    @span("Outer/Fetch")
    def outer():
        for _ in inner():
            stepping.advance(10)
            yield

    with transaction("Controller/home"):
        for _ in outer():
            stepping.advance(100)

    assert {"Inner": (3, 3), "Outer": (33, 30), "Controller": (333, 300)} == times(agent)


def test_two_generators_that_are_run_by_turns_have_their_own_times(agent, stepping):
    @span("Rows/Fetch")
    def fetch(ns):
        for _ in range(3):
            stepping.advance(ns)
            yield

    with transaction("Controller/home"):
        for _ in zip(fetch(1), fetch(10), strict=True):
            stepping.advance(100)

    assert {"Rows": (33, 33), "Controller": (333, 300)} == times(agent)


@pytest.mark.parametrize("how", ["closed", "freed"])
def test_a_generator_that_is_left_early_has_no_pause_after_its_last_step(agent, stepping, how):
    @span("Rows/Fetch")
    def fetch():
        while True:
            stepping.advance(10)
            yield

    with transaction("Controller/home"):
        rows = fetch()
        next(rows)
        stepping.advance(100)
        if how == "closed":
            rows.close()
        del rows

    assert {"Rows": (10, 10), "Controller": (110, 100)} == times(agent)


def test_the_block_of_a_context_manager_is_the_time_of_its_span(agent, stepping):
    @span("Lock/Held")
    @contextmanager
    def held():
        stepping.advance(1)
        yield
        stepping.advance(1)

    with transaction("Controller/home"), held():
        stepping.advance(100)

    assert {"Lock": (102, 102), "Controller": (102, 0)} == times(agent)


def test_a_streamed_response_lasts_until_it_has_been_sent_and_its_spans_have_no_pauses(agent, stepping):
    def body():
        with span("Template/Stream"):
            for _ in range(3):
                stepping.advance(10)
                yield b"a"

    with transaction("Controller/home") as web:
        sent = web.stream(body())
    for _ in sent:
        stepping.advance(100)

    assert {"Template": (30, 30), "Controller": (330, 300)} == times(agent)


def test_a_generator_that_outlives_its_transaction_is_in_no_figure(agent, stepping):
    @span("Rows/Fetch")
    def fetch():
        while True:
            stepping.advance(10)
            yield

    with transaction("Controller/home"):
        rows = fetch()
        next(rows)
    stepping.advance(100)
    next(rows)
    rows.close()

    assert {"Controller": (10, 10)} == times(agent)


def histogram(*seconds: float) -> Histogram:
    found = Histogram()
    for value in seconds:
        found.add(value)
    return found


def test_jobs_are_counted_by_their_queue_with_their_waits_and_outcomes(agent, clock):
    for queue, waited, outcome in (
        ("mail", 2.0, None), ("mail", None, "retry"), ("slow", 0.0, "failure"), (None, 0.5, None),
    ):  # fmt: skip
        with job("mail.send", queue=queue) as sent:
            clock.advance(10)
            if outcome:
                sent.settle(outcome)
        sent.queue_time = waited

    found = figures(agent, name="Job/mail.send")

    assert {
        "mail": QueueMetrics(
            count=2, errors=0, total=20e-9, durations=histogram(10e-9, 10e-9), queue_time=2.0, waits=histogram(2.0),
            outcomes={"success": 1, "retry": 1},
        ),
        "slow": QueueMetrics(
            count=1, errors=1, total=10e-9, durations=histogram(10e-9), queue_time=0.0, waits=histogram(0.0),
            outcomes={"failure": 1},
        ),
        "": QueueMetrics(
            count=1, errors=0, total=10e-9, durations=histogram(10e-9), queue_time=0.5, waits=histogram(0.5),
            outcomes={"success": 1},
        ),
    } == found.queues  # fmt: skip
    assert (4, 2.5, 3) == (found.count, found.queue_time, found.queued)


def test_a_job_made_by_hand_has_a_queue_and_an_outcome_by_its_tags(agent):
    with transaction("Job/mail.send", queue="mail", outcome="bounced"):
        pass
    with transaction("Job/mail.send", queue=["mail"], outcome=3):
        pass

    assert [("mail", {"bounced": 1}), ("", {})] == [
        (queue, metrics.outcomes) for queue, metrics in figures(agent).queues.items()
    ]


def test_a_web_request_has_no_queues(agent):
    with transaction("Controller/home", queue="mail"):
        pass

    assert {} == figures(agent).queues


def test_queues_and_outcomes_beyond_the_limits_are_counted_as_other(agent):
    for number in range(MAX_QUEUES + 3):
        with transaction("Job/mail.send", queue=f"queue {number} {'x' * 100}", outcome=f"outcome {number}"):
            pass
    for number in range(MAX_OUTCOMES + 3):
        with transaction("Job/mail.send", queue="another", outcome=f"outcome {number}"):
            pass
    found = figures(agent).queues

    assert (MAX_QUEUES + 1, 6 + MAX_OUTCOMES) == (len(found), found["other"].count)
    assert (MAX_OUTCOMES + 1, 3) == (len(found["other"].outcomes), found["other"].outcomes["other"])
    assert {"other", *(f"queue {number} {'x' * 100}"[:100] for number in range(MAX_QUEUES))} == set(found)
