"""The agent of a process: start, stop, settings, and what it asks plugins for."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import types
from datetime import timedelta
from time import monotonic

import attrs
import pytest

import scout_core
from scout_core import agent as agents
from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.agent import Agent
from scout_core.recording import context
from tests.workbench import POLICIES, Behaving, Keeper, eventually, exporting, is_balanced, plugin, running


@pytest.fixture(autouse=True)
def own_environment(own_agent, monkeypatch):
    """Enable only our policies."""
    monkeypatch.setenv("SCOUT_PLUGINS_ENABLE", ",".join(POLICIES))


@pytest.fixture
def no_threads() -> None:
    """Wait for the threads of the agent of an earlier test."""
    eventually(lambda: not threads())


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("scout-core")}


# start and stop


def test_start_returns_the_same_agent_every_time():
    agent = scout_core.start(name="Shop")

    assert isinstance(agent, Agent)
    assert agent is scout_core.start() is scout_core.start(name="Shop")
    assert agent.is_running
    assert agent.tracer is context.tracer


def test_nothing_is_recorded_and_no_thread_runs_while_monitor_is_false(caplog, no_threads):
    caplog.set_level(logging.INFO, "scout_core")

    assert None is scout_core.start(monitor=False)
    assert None is context.tracer
    assert set() == threads()
    assert ["not recording: monitor is false (code)"] == [record.getMessage() for record in caplog.records]
    with transaction("Controller/home"):
        assert None is current_transaction()


def test_threads_start_when_the_first_transaction_ends_and_end_with_the_agent(no_threads):
    keeper = Keeper()
    scout_core.start(plugins=[exporting(keeper)])
    before = threads()
    with transaction("Controller/home"):
        during = threads()
    after = threads()
    scout_core.stop()

    assert (set(), set()) == (before, during)
    assert {"scout-core", "scout-core-keeper"} == after
    assert set() == threads()
    assert 1 == keeper.counted


def test_nothing_is_recorded_after_stop_and_start_creates_a_new_agent():
    first, second = Keeper(), Keeper()
    former = scout_core.start(plugins=[exporting(first)])
    scout_core.stop()
    with transaction("Controller/lost"):
        assert None is current_transaction()
    other = scout_core.start(plugins=[exporting(second)])
    with transaction("Controller/home"):
        pass
    scout_core.stop()
    scout_core.stop()

    assert former is not other
    assert former.process.instance != other.process.instance
    assert (0, 1) == (first.counted, second.counted)


def test_a_transaction_that_is_open_when_the_agent_stops_ends_without_a_trace():
    keeper = Keeper()
    agent = scout_core.start(plugins=[exporting(keeper)])
    with transaction("Controller/before"):
        pass
    with transaction("Controller/open"), span("SQL/Query"):
        scout_core.stop()
    with transaction("Controller/after"):
        pass
    counters = agent.counters("keeper")

    assert ["Controller/before"] == [metrics.name for report in keeper.reports for metrics in report.transactions]
    assert (2, 1, 0) == (counters.finished, counters.exported, counters.queued)


def test_transactions_that_cannot_be_sent_in_time_are_dropped_and_counted():
    keeper = Keeper()
    with running(exporting(keeper), threaded=False) as agent:
        for _ in range(250):
            with transaction("Controller/home"):
                pass
        agent.stop(0)
        counters = agent.counters("keeper")

    assert (250, 0) == (counters.finished, counters.queued)
    assert 250 == counters.exported + sum(counters.dropped.values())
    assert counters.dropped["not sent before the process ended"] >= 150


def test_starting_and_stopping_repeatedly_leaves_nothing_behind(no_threads):
    for _ in range(30):
        keeper = Keeper()
        scout_core.start(plugins=[exporting(keeper)])
        with transaction("Controller/home"):
            pass
        scout_core.stop()
        assert 1 == keeper.counted

    assert set() == threads()
    assert None is context.tracer


def test_concurrent_calls_of_start_return_the_same_agent():
    found = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(scout_core.start())

    starters = [threading.Thread(target=start) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert 8 == len(found)
    assert 1 == len(set(map(id, found)))


def test_later_settings_are_added_and_the_environment_still_takes_precedence(monkeypatch):
    monkeypatch.setenv("SCOUT_REVISION_SHA", "from the environment")
    keeper = Keeper()
    scout_core.start(name="Early", report_period=50, plugins=[exporting(keeper)])
    agent = scout_core.start(name="Late", revision_sha="from code")
    with transaction("Controller/home"):
        pass
    scout_core.stop()

    assert ("Late", "from the environment") == (keeper.reports[0].process.app, keeper.reports[0].process.revision)
    assert 50 == agent.config.get("report_period")


def test_later_limits_apply_from_then_on():
    keeper = Keeper()
    scout_core.start(report_period=50, plugins=[exporting(keeper)])
    scout_core.start(traces_per_period=1, max_spans=1)
    for name in ("Job/first", "Job/second"):
        with transaction(name):
            for _ in range(3):
                with span("SQL/Query"):
                    pass
    scout_core.stop()

    (trace,) = keeper.reports[0].traces
    assert (1, {"SQL/Query": 2}) == (len(trace.spans), {name: count for name, (count, _) in trace.merged.items()})


@attrs.frozen
class TeamOptions:
    prefix: str = ""
    level: int = 0


def team(recorded_options):
    """Return a plugin that records its options at the start of each transaction."""
    return plugin(
        "team",
        register_options=lambda: TeamOptions,
        on_request_start=lambda transaction, options: recorded_options.append(options),
    )


def test_plugin_options_are_set_in_code_and_by_a_framework_and_reach_the_hooks(monkeypatch, caplog):
    monkeypatch.setenv("SCOUT_TEAM_LEVEL", "3")
    recorded_options = []
    agent = scout_core.start(plugins=[team(recorded_options)], plugin_options={"team": {"level": 1}})
    for setting in ({"SCOUT_TEAM_PREFIX": "Framework/"}, {"SCOUT_TEAM_LEVEL": 2}):
        with transaction("Job/mail.send"):
            pass
        assert agent is scout_core.start_from_settings("Django", setting)
    scout_core.start(plugin_options={"team": {"prefix": "Code/"}})
    scout_core.start_from_settings("Django", {"SCOUT_TEAM_PREFIX": "weaker than code"})
    with transaction("Job/mail.send"):
        pass

    assert [TeamOptions("", 3), TeamOptions("Framework/", 3), TeamOptions("Code/", 3)] == recorded_options
    assert [] == caplog.messages


def test_unknown_plugins_and_options_are_reported_whenever_they_are_set(caplog):
    scout_core.start(plugins=[team([])], plugin_options={"team": {"prefx": "x"}, "taem": {"prefix": "x"}})
    first = [message for message in caplog.messages if "did you mean" in message]
    caplog.clear()
    scout_core.start(plugin_options={"team": {"lvel": 1}, "teem": {"prefix": "x"}})
    scout_core.start_from_settings("Django", {"SCOUT_TEAM_LEVELS": 1, "DEBUG": True})

    assert [
        "unknown option plugins.team.prefx (code) is ignored; did you mean plugins.team.prefix?",
        "plugins.taem (code) names 'taem', which is not a plugin here; did you mean team?",
    ] == first
    assert [
        "unknown option plugins.team.lvel (code) is ignored; did you mean plugins.team.level?",
        "plugins.teem (code) names 'teem', which is not a plugin here; did you mean team?",
        "unknown option SCOUT_TEAM_LEVELS (Django settings) is ignored; did you mean SCOUT_TEAM_LEVEL?",
    ] == caplog.messages


def test_the_agent_starts_from_the_settings_of_a_framework(caplog):
    agent = scout_core.start_from_settings("Django", {"SCOUT_NAME": "Shop", "SCOUT_MAX_SPANS": "many", 5: 6, "NAME": 7})

    assert ("Shop", "Django settings") == (agent.config.get("name"), str(agent.config.origin("name")))
    assert [
        "invalid value 'many' for max_spans (Django settings); expected a whole number of at least 0; using the default, 1500"
    ] == caplog.messages
    assert scout_core.start_from_settings("Django", {"SCOUT_MONITOR": False}) is None
    assert not agent.is_running


def test_a_setting_that_is_too_late_is_reported_once(caplog):
    agent = scout_core.start(report_period=50, plugins_disable=["speed"])
    scout_core.start(plugins_disable=["age"], slow_hook_seconds=1)
    scout_core.start(plugins_disable=["speed"])
    scout_core.start(name="Shop")

    assert [
        "plugins.disable (code) was set after the agent had started and has no effect; set it in the file, or as SCOUT_PLUGINS_DISABLE",
        "slow_hook_seconds (code) was set after the agent had started and has no effect; set it in the file, or as SCOUT_SLOW_HOOK_SECONDS",
    ] == sorted(
        record.getMessage() for record in caplog.records if "after the agent had started" in record.getMessage()
    )
    assert ("speed",) == agent.config.get("plugins.disable")


def test_the_agent_starts_in_a_deleted_working_directory(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert None is not scout_core.start()


def test_problems_are_logged_and_the_agent_runs(caplog):
    agent = scout_core.start(report_period="soon", nonsense=1, plugins_require=())

    assert agent.is_running
    assert 60 == agent.config.get("report_period")
    assert any("report_period" in record.getMessage() for record in caplog.records)
    assert any("nonsense" in record.getMessage() for record in caplog.records)


# exporters, options and hooks of plugins


class NoName:
    def export(self, report):
        return None


class NoMethod:
    name = "no-method"


class Raising:
    @property
    def name(self):
        raise ValueError("no name today")

    def export(self, report):
        return None


def yields_then_raises():
    yield Keeper("first")
    raise ValueError("no second one")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (lambda: [NoName()], "an exporter has a name and a method export"),
        (lambda: [NoMethod()], "an exporter has a name and a method export"),
        (lambda: [object(), None, 5], "an exporter has a name and a method export"),
        (lambda: [Keeper("good")], "there is an exporter 'good' already"),
        (lambda: [Raising()], "no name today"),
        (lambda: Keeper("not in a list"), "not iterable"),
        (lambda: 5, "not iterable"),
        (yields_then_raises, "no second one"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
    ids=["no name", "no method", "no objects", "same name", "raising name", "no list", "number", "generator", "raises"],
)
def test_invalid_exporters_do_not_affect_valid_ones(given, problem):
    good = Keeper("good")
    odd = plugin("test_odd", register_exporters=given)
    agent = scout_core.start(plugins=[exporting(good), odd])
    with transaction("Controller/home"):
        pass
    scout_core.stop()
    status = {status.name: status for status in agent.plugin_statuses()}["test_odd"]

    assert 1 == good.counted
    assert status.errors >= 1
    assert problem in status.last_error


def test_invalid_options_of_a_plugin_do_not_affect_others():
    class NotAttrs:
        pass

    odd = plugin("test_odd", register_options=lambda: NotAttrs)
    keeper = Keeper()
    agent = scout_core.start(plugins=[odd, exporting(keeper)])
    with transaction("Controller/home"):
        pass
    scout_core.stop()

    assert 1 == keeper.counted
    assert 1 == {status.name: status for status in agent.plugin_statuses()}["test_odd"].errors


def test_the_hooks_for_start_and_stop_are_called_once():
    calls = []
    listening = plugin(
        "test_listening",
        on_start=lambda agent: calls.append(("start", agent.is_running)),
        on_stop=lambda agent: calls.append(("stop", agent.is_running)),
    )
    scout_core.start(plugins=[listening])
    with transaction("Controller/home"):
        pass
    scout_core.start()
    scout_core.stop()
    scout_core.stop()

    assert [("start", True), ("stop", False)] == calls


def test_on_stop_is_called_after_the_last_report_was_exported():
    keeper = Keeper()
    counts = []
    scout_core.start(
        plugins=[exporting(keeper), plugin("test_listening", on_stop=lambda agent: counts.append(keeper.counted))]
    )
    with transaction("Controller/home"):
        pass
    scout_core.stop()

    assert [1] == counts


def test_a_plugin_that_is_added_later_is_called_once_hooks_are_frozen_again(quick):
    ended = []

    class Later:
        @hookimpl
        def on_request_end(self, transaction):
            ended.append(transaction.operation)

    agent = scout_core.start()
    agent.plugins.add_object(Later(), "later")
    agent.freeze()
    with transaction("Controller/home"):
        pass
    eventually(lambda: ["Controller/home"] == ended)


# no thread can be started


def test_the_application_is_not_affected_when_no_thread_can_be_started(monkeypatch):
    """The next transaction tries again, and earlier ones are counted then."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    keeper = Keeper()
    agent = scout_core.start(plugins=[exporting(keeper)])
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            with transaction("Controller/home"):
                pass
        assert 3 == agent.counters("keeper").queued
        before = threads()
    with transaction("Controller/home"):
        pass
    after = threads()
    scout_core.stop()

    assert (set(), {"scout-core", "scout-core-keeper"}) == (before, after)
    assert 4 == keeper.counted


def test_every_exporter_has_its_own_counters(quick):
    keeper = Keeper("keeper")
    failing = Behaving("failing", lambda report: 1 / 0)
    with running(exporting(keeper, failing), report_period=0.02) as agent:
        with transaction("Controller/home"):
            pass
        eventually(lambda: agent.counters("keeper").exported == 1)
        counters = agent.counters("failing")
        assert (1, 0, 1, {}) == (counters.finished, counters.exported, counters.queued, counters.dropped)
        assert is_balanced(agent, "keeper")
        eventually(lambda: len(keeper.reports) > 2)
        reported = keeper.reports[-1].counters

    assert {"keeper", "failing"} == set(reported)
    assert (1, 0) == (reported["keeper"].exported, reported["failing"].exported)
    assert {"not sent before the process ended": 1} == agent.counters("failing").dropped


def test_a_report_describes_its_process_and_plugins(quick):
    keeper = Keeper()
    with running(exporting(keeper), name="Shop", hostname="web-1", revision_sha="abc"):
        with transaction("Controller/home"):
            pass
        eventually(lambda: keeper.reports)
        process = keeper.reports[0].process

    assert ("Shop", "web-1", "abc", os.getpid(), agents.VERSION) == (
        process.app, process.hostname, process.revision, process.pid, process.agent,
    )  # fmt: skip
    assert 16 == len(process.instance)
    names = {status.name: status.state for status in keeper.reports[0].plugins}
    assert {**dict.fromkeys(POLICIES, "active"), "test_exporters": "active"} == {
        name: state for name, state in names.items() if state != "disabled"
    }


def test_start_raises_when_a_module_named_in_code_is_not_a_plugin():
    with pytest.raises(scout_core.errors.PluginError, match="test_empty"):
        scout_core.start(plugins=[types.ModuleType("test_empty")])

    assert None is context.tracer


@pytest.mark.parametrize("leaves", [GeneratorExit, asyncio.CancelledError, SystemExit])
def test_whatever_on_start_raises_the_agent_starts(leaves):
    def on_start(agent):
        raise leaves

    agent = scout_core.start(plugins=[plugin(on_start=on_start)])

    assert agent is not None
    assert agent.is_running
    assert context.tracer is agent.tracer


def test_a_start_that_is_interrupted_leaves_nothing():
    def on_start(agent):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scout_core.start(plugins=[plugin(on_start=on_start)])

    assert context.tracer is None
    with transaction("Job/next") as job:
        assert current_transaction() is None
    assert 0 == job.id
    assert scout_core.start() is not None


class Unprintable:
    """Neither a number nor text."""

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("timeout", "is_reported"),
    [
        (1e10, False), (1e300, False), (math.inf, False), (10**400, False), ("900 d", False), (timedelta.max, False), ("2 s", False), (-1, False),
        (-math.inf, False), (math.nan, True), ("soon", True), ([5], True), (True, True), (Unprintable(), True),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("call", ["stop", "flush"])
def test_no_timeout_raises_in_the_application(caplog, call, timeout, is_reported):
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        with transaction("Controller/home"):
            pass
        getattr(agent, call)(timeout)
    reported = [record.getMessage() for record in caplog.records if "invalid timeout" in record.getMessage()]

    assert is_reported == bool(reported)
    assert all(text.endswith("using shutdown_timeout_seconds") for text in reported)
    assert keeper.counted == 1 or timeout in (-1, -math.inf)


@pytest.mark.parametrize("value", ["1e10", "inf", "nan", "-1", "2 d", "86401"])
def test_the_option_has_a_timeout_that_can_be_waited_for(monkeypatch, caplog, value):
    monkeypatch.setenv("SCOUT_SHUTDOWN_TIMEOUT_SECONDS", value)
    keeper = Keeper()
    agent = scout_core.start(plugins=[exporting(keeper)])
    with transaction("Controller/home"):
        pass
    scout_core.stop()

    assert (2.0, 1) == (agent.config.get("shutdown_timeout_seconds"), keeper.counted)
    assert any("expected a duration from 0 to 1 d, in seconds" in record.getMessage() for record in caplog.records)


def test_flush_without_an_agent_and_before_anything_was_recorded_does_nothing():
    scout_core.flush()
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        scout_core.flush()

        assert None is agent.recorder.thread.thread
    assert [] == keeper.reports


def test_flush_sends_what_was_recorded_from_any_number_of_threads(quick):
    keeper = Keeper()
    with running(exporting(keeper), report_period=3_600) as agent:

        def work_and_flush():
            for _ in range(10):
                with transaction("Job/work"):
                    pass
                scout_core.flush(20)

        threads = [threading.Thread(target=work_and_flush) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 40 == keeper.counted == agent.counters("keeper").exported


@pytest.mark.parametrize("place", ["hook", "exporter"])
def test_flush_on_a_thread_of_the_agent_waits_for_nothing(quick, place):
    """It would wait for itself."""
    took = []

    def flush(_):
        began = monotonic()
        scout_core.flush(60)
        took.append(monotonic() - began)

    keeper = Behaving("keeper", flush) if place == "exporter" else Keeper()
    hooks = [plugin("flushing", on_request_end=lambda transaction: flush(transaction))] if place == "hook" else []
    with running(exporting(keeper), *hooks, report_period=0.02):
        with transaction("Job/work"):
            pass
        eventually(lambda: took and keeper.counted)

    assert max(took) < 20


def test_flush_in_a_child_that_was_forked_without_notice_does_not_wait_for_a_thread_of_the_parent(quick, monkeypatch):
    keeper = Keeper()
    with running(exporting(keeper)) as agent:
        with transaction("Job/work"):
            pass
        agent.flush(20)
        parent = agent.recorder
        monkeypatch.setattr(agents.os, "getpid", lambda: agent.process.pid + 1)
        began = monotonic()
        agent.flush(60)

        assert monotonic() - began < 20
        monkeypatch.undo()
        assert 0 == agent.counters("keeper").finished
        for outbox in parent.outboxes:  # in a real child it has no thread
            outbox.stop(monotonic())
            outbox.join()
