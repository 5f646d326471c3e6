"""Starting threads of the agent, whatever happens to the application's thread meanwhile."""

from __future__ import annotations

import signal
import threading

import pytest

from scout_core import transaction
from scout_core.threads import NoThread, start_thread
from tests.workbench import Keeper, exporting, running


class Alarm(Exception):
    """The exception of a time-out."""


@pytest.fixture
def alarm_when():
    """Return a function that lets an alarm arrive once: before or after a thread of this name is started."""

    def time_out(number, frame):
        raise Alarm

    start = threading.Thread.start
    left = []

    def starting(thread):
        if left and left[0] == (thread.name, "before"):
            left.clear()
            signal.raise_signal(signal.SIGALRM)
        start(thread)
        if left and left[0] == (thread.name, "after"):
            left.clear()
            signal.raise_signal(signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, time_out)
    threading.Thread.start = starting
    yield lambda name, when: left.append((name, when))
    threading.Thread.start = start
    signal.signal(signal.SIGALRM, before)
    assert [] == left


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["scout-core", "scout-core-keeper"])
def test_an_alarm_while_a_thread_starts_reaches_the_application_and_each_thread_runs_once(alarm_when, name, when):
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        alarm_when(name, when)
        with pytest.raises(Alarm), transaction("Job/first"):
            pass
        for _ in range(100):
            with transaction("Job/later"):
                pass
        ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("scout-core")]
        assert ["scout-core", "scout-core-keeper"] == sorted(ours)
        agent.flush(20)
        assert 101 == keeper.counted


def test_a_thread_whose_start_was_given_up_does_not_run_later(monkeypatch):
    started, kept, ran = [], [], threading.Event()
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread) or 1 / 0)
    refused = start_thread(ran.set, "scout-core-test", kept.append)
    monkeypatch.undo()
    started[0].start()
    started[0].join()

    assert isinstance(refused, NoThread)
    assert (False, [started[0], None]) == (refused.is_final, kept)
    assert not ran.is_set()


def test_a_thread_that_runs_although_its_start_raised_is_kept(monkeypatch):
    kept, ran = [], threading.Event()
    start = threading.Thread.start

    def start_and_fail(thread):
        start(thread)
        ran.wait(20)
        raise RuntimeError("a patch of the application")

    monkeypatch.setattr(threading.Thread, "start", start_and_fail)
    thread = start_thread(ran.set, "scout-core-test", kept.append)
    monkeypatch.undo()
    thread.join(20)

    assert [thread] == kept
