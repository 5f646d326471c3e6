"""Recording while the garbage collector runs: it crashes on no Python, and what is not recorded is counted."""

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
from scout_core.recording.safety.collecting import collecting
from tests.workbench import running

IS_RECORDED = sys.version_info >= (3, 12)
"""Whether transactions and spans are recorded during a collection."""


class Cycle:
    """A reference cycle that only the collector frees, and that calls a function when it is freed."""

    def __init__(self, on_delete: Callable[[], Any]) -> None:
        self.itself = self
        self.on_delete = on_delete

    def __del__(self) -> None:
        self.on_delete()


@pytest.fixture(autouse=True)
def no_other_collection() -> Iterator[None]:
    """Disable automatic collections, so that a test decides when one happens."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def trace() -> None:
    with transaction("Job/destructor"), span("Custom/goodbye"):
        pass


def names(agent: Agent) -> dict[str, int]:
    """Return name to count of all transactions since the last call."""
    agent.recorder.work()
    return {metrics.name: metrics.count for metrics in agent.recorder.evaluation.choice.take_metrics()}


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
        # The transaction, which is a span of the outer one here, and the span in it are not recorded.
        assert (0 if IS_RECORDED else 2) == agent.counters().in_collection


def test_transactions_and_spans_after_a_collection_are_recorded():
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
def test_a_collector_callback_that_traces_is_recorded_or_counted(place):
    """A collection is marked before any other callback runs, and the mark is removed after them."""
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
def test_a_transaction_or_span_in_a_generator_ends_when_the_collector_closes_it(operation):
    """The next transaction is not nested in it."""
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


def test_a_transaction_in_a_signal_handler_during_a_collection_is_recorded_or_counted():
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


def test_a_child_forked_during_a_collection_records_after_the_collection():
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


def test_a_child_forked_by_another_thread_during_a_collection_records():
    """The collecting thread does not exist in the child, so its collection never ends there."""
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


def test_collector_callbacks_are_removed_when_the_agent_stops():
    before = list(gc.callbacks)
    with running(threaded=False):
        during = list(gc.callbacks)

    assert before == gc.callbacks
    assert IS_RECORDED == (before == during)


def test_the_mark_of_a_collection_is_removed_when_the_agent_stops_during_it():
    with running(threaded=False) as agent:
        Cycle(lambda: agent.stop(1))
        gc.collect()
        agent.stop(1)

        assert {} == collecting
    with running(threaded=False):
        pass

    assert {} == collecting
    assert not [callback for callback in gc.callbacks if "scout_core" in str(getattr(callback, "__module__", ""))]


class Alarm(Exception):
    """The exception of a time-out."""


@pytest.mark.parametrize("phase", ["start", "stop"])
def test_no_alarm_is_lost_in_a_callback_of_the_agent(phase):
    """An exception that a signal handler raises within a collector's callback written in Python is lost."""

    def ring(called: str, _: object) -> None:
        if called == phase:
            signal.raise_signal(signal.SIGALRM)  # arrives with the next instruction in Python

    def time_out(number: int, frame: object) -> None:
        arrived.append(frame.f_code.co_filename)  # type: ignore[attr-defined]

    arrived: list[str] = []
    before = signal.signal(signal.SIGALRM, time_out)
    try:
        with running(threaded=False) as agent:
            Cycle(trace)
            gc.collect()
            for place in range(len(gc.callbacks) + 1):
                signal.set_wakeup_fd(-1)
                gc.callbacks.insert(place, ring)
                gc.collect(0)
                gc.callbacks.remove(ring)
                assert not collecting
                trace()
            assert names(agent)["Job/destructor"] >= place + 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert place + 1 == len(arrived)
    assert set(arrived) == {__file__}


def test_every_alarm_reaches_an_application_that_collects(monkeypatch):
    def time_out(number: int, frame: object) -> None:
        raise Alarm

    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    others = gc.callbacks[:]  # of tools for tests, in which an alarm would be lost
    gc.callbacks.clear()
    before = signal.signal(signal.SIGALRM, time_out)
    arrived = 0
    try:
        with running(threaded=False) as agent:
            for _ in range(200):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 2e-4)
                    for _ in range(100_000):
                        gc.collect(0)
                except Alarm:
                    arrived += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert not collecting
            trace()
            assert {"Job/destructor": 1} == names(agent)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.callbacks[:] = others
    assert (200, []) == (arrived, lost)
