"""Faults of the agent itself on its own threads: the threads go on, what was recorded arrives or is counted, and each kind is logged."""

from __future__ import annotations

import threading

import pytest

from scout_core import transaction
from scout_core.sending import agent_thread, loops, outbox
from scout_core.sending.agent_thread import AgentThread
from scout_core.sending.export_guard import ExportGuard
from scout_core.sending.inbox import Inbox
from scout_core.sending.ledger import Ledger
from scout_core.sending.outbox import Outbox
from scout_core.sending.recorder import Recorder
from scout_core.sending.report_queue import ReportQueue
from tests.workbench import Keeper, eventually, exporting, is_balanced, running

pytestmark = pytest.mark.usefixtures("own_agent", "quick")


class Fault(BaseException):
    """Not even an Exception."""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(loops, "PAUSE", 0.001)


@pytest.fixture(autouse=True)
def unhandled(monkeypatch):
    """What ``threading`` would print."""
    raised = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: raised.append(arguments.exc_type))
    yield raised
    assert [] == raised


@pytest.fixture
def failing(monkeypatch):
    """Make a function raise a number of times; return what counts the calls."""

    def install(owner, name, times=1):
        original, calls = getattr(owner, name), []

        def function(*args, **kwargs):
            calls.append(1)
            if len(calls) <= times:
                raise Fault(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, function)
        return calls

    return install


def work(count=1):
    for _ in range(count):
        with transaction("Job/work"):
            pass


def test_a_loop_continues_after_whatever_its_step_raises():
    steps, faults = [], []

    def step():
        steps.append(1)
        if len(steps) < 4:
            raise (KeyboardInterrupt, SystemExit, GeneratorExit)[len(steps) - 1]
        return len(steps) < 6

    def on_fault():
        faults.append(1)
        raise Fault

    loops.repeat(step, on_fault)

    assert (6, 3) == (len(steps), len(faults))


PARTS = [
    (AgentThread, "_round"), (Recorder, "_look"), (Inbox, "work"), (Inbox, "_work"), (Ledger, "close_period"), (agent_thread, "lock_factory"),
    (Outbox, "_round"), (Outbox, "_send"), (Outbox, "_note_arrival"), (ReportQueue, "choose"), (ExportGuard, "enter"),
    (ExportGuard, "succeed"), (outbox, "attempt"), (Ledger, "delivered"),
]  # fmt: skip


@pytest.mark.parametrize(("owner", "name"), PARTS, ids=lambda part: getattr(part, "__name__", part))
def test_reports_arrive_after_a_fault_anywhere_in_the_agent_s_threads(failing, caplog, owner, name):
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.02) as agent:
        work()
        eventually(lambda: agent.counters("keeper").exported == 1)
        calls = failing(owner, name)
        work(3)
        eventually(lambda: len(calls) > 1)
        work(2)
        eventually(lambda: not agent.counters("keeper").queued)

        assert agent.recorder.thread.thread.is_alive()
        assert is_balanced(agent, "keeper")
        assert 6 == agent.counters("keeper").finished
        assert keeper.counted >= 3
    assert "it continues" in caplog.text


@pytest.mark.parametrize("owner", [agent_thread, outbox], ids=lambda owner: owner.__name__.rpartition(".")[2])
def test_another_thread_takes_over_from_one_that_a_fault_outside_of_its_loop_has_ended(failing, owner):
    keeper = Keeper()
    calls = failing(owner, "repeat")
    with running(exporting(keeper), report_period=0.02) as agent:
        work()
        eventually(lambda: calls)

        def arrive():
            work()
            return agent.counters("keeper").exported

        eventually(arrive)
        eventually(lambda: not agent.counters("keeper").queued)

        assert is_balanced(agent, "keeper")


def test_a_report_in_which_a_fault_repeats_is_dropped_and_counted_and_the_next_ones_arrive(failing):
    keeper = Keeper()
    failing(outbox, "attempt", times=outbox.MOST_FAULTS)
    with running(exporting(keeper), report_period=0.02) as agent:
        work()
        eventually(lambda: agent.counters("keeper").dropped)
        work(2)
        eventually(lambda: agent.counters("keeper").exported)

        assert {"internal error": 1} == agent.counters("keeper").dropped
        assert 2 == keeper.counted


def test_transactions_that_a_fault_left_in_hand_are_counted_as_dropped(failing):
    keeper = Keeper()
    with running(exporting(keeper), threaded=False) as agent:
        work(5)
        failing(Inbox, "_evaluate")
        with pytest.raises(Fault):
            agent.recorder.work()

        assert (5, 0, {"internal error": 5}) == (
            agent.counters().finished,
            agent.counters().queued,
            agent.counters().dropped,
        )


def test_each_kind_of_fault_is_logged_once(failing, caplog):
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.02) as agent:
        first, second = failing(Inbox, "work", times=3), failing(Recorder, "close_period", times=3)
        work()
        eventually(lambda: len(first) > 3 and len(second) > 3)
        eventually(lambda: agent.counters("keeper").exported)

    raised = [record.exc_info[1].args[0] for record in caplog.records if record.exc_info]
    assert ["close_period", "work"] == sorted(raised)
