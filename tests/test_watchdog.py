"""A hook that hangs on the agent's thread: the log and the plugin's state name it, and the application continues."""

from __future__ import annotations

import logging
import threading
from textwrap import dedent
from time import sleep

import pytest

from scout_core import transaction
from scout_core.sending import agent_thread, outbox, watchdog
from scout_core.sending import period as periods
from scout_core.states import State
from tests.workbench import Keeper, announced, eventually, exporting, plugin, run_app, running


@pytest.fixture
def quick(monkeypatch):
    """Look often, and call a hook hanging soon."""
    monkeypatch.setattr(agent_thread, "TICK", 0.002)
    monkeypatch.setattr(periods, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr(outbox, "IDLE", 0.01)
    monkeypatch.setattr(watchdog, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(watchdog, "HANGS_AFTER", 0.1)


@pytest.fixture
def gate():
    """Opens at the end of the test, whatever happens."""
    gate = threading.Event()
    yield gate
    gate.set()


def record(count: int = 1) -> None:
    for number in range(count):
        try:
            with transaction("Controller/home") as web:
                if number % 2:
                    web.ignore()
                else:
                    raise LookupError
        except LookupError:
            pass


def status_of(agent, name: str):
    return next(status for status in agent.plugin_statuses() if status.name == name)


HOOKS = (
    "ignore_transaction",
    "trace_group",
    "score_transaction",
    "on_request_end",
    "on_error",
    "on_ignore",
    "on_keep",
    "on_report",
)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_hangs_is_named_in_the_log_and_in_the_state_that_receivers_get(quick, gate, caplog, hook):
    caplog.set_level(logging.INFO, "scout_core")
    keeper = Keeper()
    has_begun = threading.Event()

    def hang() -> None:
        has_begun.set()
        gate.wait(60)

    with running(plugin("hanging", **{hook: hang}), exporting(keeper), report_period=0.05) as agent:
        record(2)
        eventually(has_begun.is_set)
        threads = threading.active_count()
        eventually(lambda: status_of(agent, "hanging").state is State.QUARANTINED)
        before = len(keeper.reports)
        eventually(lambda: len(keeper.reports) > before + 1)
        record(50)
        reported = next(found for found in keeper.reports[-1].plugins if found.name == "hanging")
        lines = [text for text in caplog.messages if "has not returned" in text]
        counters = agent.counters("keeper")

        assert (State.QUARANTINED, "hook-hangs") == (reported.state, reported.problems[0].kind)
        assert f"{hook} has not returned for" in reported.reason
        assert "restart the process" in str(reported.next_step)
        assert 1 == len(lines)
        assert f"plugin 'hanging': {hook} has not returned for" in lines[0]
        assert keeper.reports[-1].counters["keeper"].finished <= counters.finished
        assert counters.finished == counters.exported + counters.queued + sum(counters.dropped.values())
        assert threads == threading.active_count(), "the threads of the outboxes look"

        gate.set()
        eventually(lambda: status_of(agent, "hanging").state is State.ACTIVE)
        record(2)
        eventually(lambda: agent.counters("keeper").queued == 0)
        agent.stop(20)
        assert sum(metrics.count for report in keeper.reports for metrics in report.transactions) == 27
        assert len(keeper.reports) == len({report.id for report in keeper.reports})


def test_a_hook_that_hangs_while_reports_wait_for_their_exporter_is_named(quick, gate, monkeypatch):
    """The threads of the outboxes look during the pause between two attempts, too."""
    monkeypatch.setattr(outbox, "pause_after", lambda failures: 60.0)
    attempts = []

    class Refusing(Keeper):
        def export(self, report):
            attempts.append(report)
            raise ConnectionRefusedError

    def hang() -> None:
        if attempts:
            gate.wait(60)

    with running(plugin("hanging", on_request_end=hang), exporting(Refusing()), report_period=0.05) as agent:
        record()
        eventually(lambda: attempts)
        record()
        eventually(lambda: status_of(agent, "hanging").state is State.QUARANTINED)
        assert 1 == len(attempts), "no pause was cut short"
        gate.set()


def test_a_second_hang_is_logged_again(quick, caplog):
    keeper = Keeper()
    gates = [threading.Event(), threading.Event()]
    waiting = iter(gates)

    def hang() -> None:
        gate = next(waiting, None)
        if gate is not None:
            gate.wait(60)

    with running(plugin("hanging", on_request_end=hang), exporting(keeper), report_period=0.05) as agent:
        for gate in gates:
            record()
            eventually(lambda: status_of(agent, "hanging").state is State.QUARANTINED)
            gate.set()
            eventually(lambda: status_of(agent, "hanging").state is State.ACTIVE)

    assert 2 == sum("has not returned" in text for text in caplog.messages)


def test_the_agents_thread_is_named_when_no_hook_hangs(quick, gate, caplog, monkeypatch):
    """A handler of logging may block it."""
    with running(exporting(Keeper()), report_period=0.05) as agent:
        monkeypatch.setattr(type(agent.recorder.evaluation), "evaluate", lambda *arguments: gate.wait(60))
        record()
        eventually(lambda: "the agent's thread has not returned" in caplog.text)
        gate.set()


def test_many_slow_calls_are_progress(quick, caplog, monkeypatch):
    """Each call is shorter than the limit, also on a busy machine; all of them are not."""
    monkeypatch.setattr(watchdog, "HANGS_AFTER", 1.0)
    keeper = Keeper()
    with running(plugin("slow", on_request_end=lambda: sleep(0.02)), exporting(keeper), report_period=0.05) as agent:
        record(160)
        eventually(lambda: keeper.counted >= 60)
        assert State.ACTIVE is status_of(agent, "slow").state

    assert "has not returned" not in caplog.text


def test_a_computer_that_slept_during_a_hook_causes_no_report(quick, gate, caplog, monkeypatch):
    """The clock jumps between two looks: the second look sees no progress for an hour, but it is the first to see none."""
    has_begun = threading.Event()

    def hang() -> None:
        has_begun.set()
        gate.wait(60)

    clock = [1_000.0]
    monkeypatch.setattr(outbox, "IDLE", 60.0)
    monkeypatch.setattr(watchdog, "monotonic", lambda: clock[0])
    with running(plugin("hanging", on_request_end=hang), exporting(Keeper())) as agent:
        record()
        eventually(has_begun.is_set)
        agent.recorder.watchdog.look()
        clock[0] += 3_600
        agent.recorder.watchdog.look()
        assert "has not returned" not in caplog.text
        clock[0] += 1
        agent.recorder.watchdog.look()
        assert "on_request_end has not returned" in caplog.text
        gate.set()


@pytest.mark.parametrize(
    "patch",
    [
        "import gevent.monkey\ngevent.monkey.patch_all()\n",
        "import eventlet\neventlet.monkey_patch()\n",
    ],
    ids=["gevent", "eventlet"],
)
def test_a_hook_that_hangs_in_a_greenlet_is_named_too(tmp_path, patch):
    announced(tmp_path, "http://127.0.0.1:1")
    ended = run_app(
        "import warnings\nwarnings.simplefilter('ignore')\n"
        + patch
        + dedent("""
            import logging, threading, time
            import scout_core
            from scout_core import hookimpl
            from scout_core.sending import outbox, watchdog

            logging.basicConfig(format="%(message)s")
            outbox.IDLE = watchdog.LOOK_EVERY = 0.01
            watchdog.HANGS_AFTER = 0.1
            gate = threading.Event()

            import types
            hanging = types.ModuleType("hanging")
            hanging.on_request_end = hookimpl(lambda transaction: gate.wait(60))
            agent = scout_core.start(plugins=[hanging])
            with scout_core.transaction("Controller/home"):
                pass
            deadline = time.monotonic() + 30
            def state():
                return {status.name: status for status in agent.plugin_statuses()}["hanging"]
            while state().state.value != "quarantined" and time.monotonic() < deadline:
                time.sleep(0.01)
            print(state().state.value)
            gate.set()
            scout_core.stop(1)
        """),
        tmp_path,
    )

    assert (0, "quarantined\n") == (ended.code, ended.out), ended.err
    assert 1 == ended.err.count("plugin 'hanging': on_request_end has not returned for")
