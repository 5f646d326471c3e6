"""What the application records while the garbage collector runs: a crash on no Python, and nothing lost unseen."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest

from scout_core import span, transaction
from scout_core.agent import Agent
from scout_core.recording.collecting import collecting
from tests.workbench import running

IS_RECORDED = sys.version_info >= (3, 12)
"""Whether a collection is a place like any other."""


class Cycle:
    """Garbage that only the collector finds, and that runs some code when it does."""

    def __init__(self, last_words: Callable[[], Any]) -> None:
        self.itself = self
        self.last_words = last_words

    def __del__(self) -> None:
        self.last_words()


@pytest.fixture(autouse=True)
def no_other_collection() -> Iterator[None]:
    """Collections happen where the tests say."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def trace() -> None:
    with transaction("Job/destructor"), span("Custom/goodbye"):
        pass


def names(agent: Agent) -> dict[str, int]:
    """Names of all transactions so far, with their counts."""
    agent.recorder.work()
    return {metrics.name: metrics.count for metrics in agent.recorder.choice.take_metrics()}


def test_a_transaction_in_a_destructor_is_recorded_or_counted():
    with running(threaded=False) as agent:
        Cycle(trace)
        gc.collect()

        assert ({"Job/destructor": 1} if IS_RECORDED else {}) == names(agent)
        assert (0 if IS_RECORDED else 1) == agent.counters().in_collection


def test_a_span_in_a_destructor_is_recorded_or_counted():
    with running(threaded=False) as agent:
        with transaction("Job/outer") as outer:
            Cycle(trace)
            gc.collect()
        recorded = [span.operation for span in outer.spans]

        assert (["Custom/goodbye", "Job/destructor"] if IS_RECORDED else []) == recorded
        # Not recorded are the transaction, a span of the outer one here, and the span in it.
        assert (0 if IS_RECORDED else 2) == agent.counters().in_collection


def test_what_comes_after_a_collection_is_recorded():
    with running(threaded=False) as agent:
        Cycle(trace)
        with transaction("Job/outer"):
            gc.collect()
            with span("SQL/Query"):
                pass
        with transaction("Job/later"):
            pass

        assert {"Job/outer": 1, "Job/later": 1} == names(agent)
        assert {} == collecting


def test_other_threads_record_during_a_collection():
    def on_another_thread() -> None:
        thread = Thread(target=trace)
        thread.start()
        thread.join()

    with running(threaded=False) as agent:
        Cycle(on_another_thread)
        gc.collect()

        assert {"Job/destructor": 1} == names(agent)
        assert 0 == agent.counters().in_collection


@pytest.mark.parametrize("place", [0, 99], ids=["before ours", "after ours"])
def test_a_callback_of_the_collector_that_traces(place):
    """Our mark is set before any other callback runs, and taken away after them."""
    phases = []

    def callback(phase: str, _: object) -> None:
        phases.append(phase)
        trace()

    with running(threaded=False) as agent:
        gc.callbacks.insert(place, callback)
        gc.collect()
        gc.callbacks.remove(callback)
        recorded = names(agent).get("Job/destructor", 0)

        assert ["start", "stop"] == phases
        assert 2 == recorded + agent.counters().in_collection
        assert (2 if IS_RECORDED else 0) <= recorded


@pytest.mark.parametrize("operation", ["Job/abandoned", "Custom/abandoned"])
def test_a_generator_that_the_collector_closes(operation):
    """Whatever was open in it has ended then, and the next transaction does not nest in it."""

    closed = []

    def steps(holder: list[object]) -> Iterator[int]:
        with transaction(operation) if operation.startswith("Job/") else span(operation):
            try:
                yield len(holder)
            finally:
                closed.append(operation)

    with running(threaded=False) as agent:
        with transaction("Job/outer"):
            holder: list[object] = []
            holder.append(steps(holder))
            next(holder[0])
            del holder
        assert [] == closed
        gc.collect()
        with transaction("Job/later"):
            pass

        assert 1 == len(closed)
        assert {"Job/outer": 1, "Job/later": 1} == names(agent)


def test_a_signal_handler_that_interrupts_a_collection():
    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(1000):
            pass

    before = signal.signal(signal.SIGUSR1, lambda number, frame: trace())
    try:
        with running(threaded=False) as agent:
            Cycle(interrupted)
            gc.collect()

            assert 1 == names(agent).get("Job/destructor", 0) + agent.counters().in_collection
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_child_forked_during_a_collection_records_when_that_is_over():
    result, child_end = os.pipe()

    def fork() -> None:
        if os.fork() == 0:
            is_child.append(True)

    is_child: list[bool] = []
    with running(threaded=False) as agent:
        Cycle(fork)
        gc.collect()
        trace()
        if is_child:
            os.write(child_end, f"{names(agent)}".encode())
            os._exit(0)
        os.wait()

    assert b"{'Job/destructor': 1}" == os.read(result, 1000)
    os.close(result)
    os.close(child_end)


def test_a_child_forked_while_another_thread_collects_records():
    """That thread is not in the child, so its collection never ends there."""
    result, child_end = os.pipe()
    is_child: list[bool] = []

    def fork() -> None:
        if os.fork() == 0:
            os.write(child_end, f"{bool(collecting)}".encode())
            trace()
            os.write(child_end, f"{agent.counters().finished}".encode())
            os._exit(0)

    def on_another_thread() -> None:
        thread = Thread(target=fork)
        thread.start()
        thread.join()

    with running(threaded=False) as agent:
        Cycle(on_another_thread)
        gc.collect()
        os.wait()

    assert not is_child
    assert b"False1" == os.read(result, 1000)
    os.close(result)
    os.close(child_end)


def test_nothing_is_left_behind():
    before = list(gc.callbacks)
    with running(threaded=False):
        during = list(gc.callbacks)

    assert before == gc.callbacks
    assert IS_RECORDED == (before == during)


def test_an_agent_that_stops_during_a_collection_leaves_a_mark_that_goes_with_it():
    with running(threaded=False) as agent:
        Cycle(lambda: agent.stop(1))
        gc.collect()
        agent.stop(1)

        assert {} == collecting
    with running(threaded=False):
        pass

    assert {} == collecting
    assert not [callback for callback in gc.callbacks if "scout_core" in str(getattr(callback, "__module__", ""))]
