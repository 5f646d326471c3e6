"""The kit for tests of plugins and applications."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

import scout_core
from scout_core import agent as agents
from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.errors import ScoutError
from scout_core.measuring.report import Report
from scout_core.recording import context
from scout_core.testing import Scout, SeenSpan, SeenTransaction, recording


def plugin(**functions):
    module = ModuleType("mine")
    for hook, function in functions.items():
        setattr(module, hook, hookimpl(function))
    return module


def test_everything_recorded_compares_as_plain_data(scout):
    with pytest.raises(ValueError, match="text"), transaction("Controller/home", plan="gold"), span("SQL/Query", n=1):
        raise ValueError("text")

    expected = SeenTransaction(
        operation="Controller/home",
        tags={"plan": "gold"},
        error="ValueError",
        is_error=True,
        message="text",
        spans=(SeenSpan("SQL/Query", {"n": 1}, parent="Controller/home", error="ValueError"),),
    )
    assert expected == scout.transaction
    assert [expected] == scout.transactions
    assert list(expected.spans) == scout.spans
    assert ["SQL/Query", "Controller/home"] == scout.operations
    assert expected != SeenTransaction(operation="Controller/other")
    assert scout.transaction.duration > scout.spans[0].duration > 0


def test_reading_twice_gives_the_same(scout):
    with transaction("Controller/home"):
        pass

    assert scout.operations == scout.operations == ["Controller/home"]
    with transaction("Controller/next"):
        pass
    assert ["Controller/home", "Controller/next"] == scout.operations


def test_one_is_expected_and_another_number_is_told(scout):
    with pytest.raises(AssertionError, match=r"expected one transaction, found 0: \[\]"):
        scout.transaction  # noqa: B018
    for name in ("a", "b"):
        with transaction(f"Job/{name}"):
            pass

    with pytest.raises(AssertionError, match=r"expected one transaction, found 2: \['Job/a', 'Job/b'\]"):
        scout.transaction  # noqa: B018


def test_a_report_is_what_an_exporter_gets(scout):
    with transaction("Controller/home"):
        pass
    first, second = scout.report(), scout.report()

    assert isinstance(first, Report)
    assert [1, 0] == [len(report.transactions) for report in (first, second)]
    assert "test" == first.process.hostname
    assert [] == scout.traces()


def test_nothing_is_sent_and_no_thread_runs(scout):
    import threading

    with transaction("Controller/home"):
        pass
    scout.report()

    assert [] == scout.agent.exporters
    assert [] == [one.name for one in threading.enumerate() if one.name.startswith("scout-core")]


def test_the_environment_of_whoever_runs_the_tests_does_not_matter(monkeypatch):
    monkeypatch.setenv("SCOUT_NAME", "of the environment")
    monkeypatch.setenv("SCOUT_MAX_SPANS", "1")
    with recording() as scout:
        assert ("Python App", 1500) == (scout.agent.config.get("name"), scout.agent.tracer.max_spans)


@pytest.mark.scout(name="Shop", max_spans=7)
class TestMarker:
    @pytest.mark.scout(max_spans=8)
    def test_options_come_from_the_nearest_marker(self, scout):
        assert ("Shop", 8) == (scout.agent.config.get("name"), scout.agent.tracer.max_spans)

    def test_and_from_the_class(self, scout):
        assert 7 == scout.agent.tracer.max_spans


def test_start_and_stop_in_the_application_mean_the_agent_of_the_test(scout):
    assert scout_core.start(name="Shop") is scout.agent
    assert "Shop" == scout.agent.config.get("name")


def test_afterwards_nothing_records_and_the_agent_from_before_is_back():
    before = agents.use(None)
    with recording() as scout:
        assert isinstance(scout, Scout)
        assert context.tracer is scout.agent.tracer
    with transaction("Controller/home"):
        assert current_transaction() is None

    assert agents.use(before) is None
    assert context.tracer is None


def test_a_second_one_at_once_is_refused(scout):
    with pytest.raises(ScoutError, match="an agent is recording in this process already"), recording():
        pass
    with transaction("Controller/home"):
        pass

    assert ["Controller/home"] == scout.operations


def test_a_span_that_is_left_open_fails_the_test():
    with pytest.raises(AssertionError, match="the span SQL/Query is still open at the end of the test"), recording():
        transaction("Controller/home").__enter__()
        span("SQL/Query").__enter__()

    assert (None, None) == (context.current.get(), context.tracer)


def test_a_test_that_fails_is_not_hidden_by_a_span_left_open():
    with pytest.raises(ZeroDivisionError), recording():
        transaction("Controller/home").__enter__()
        raise ZeroDivisionError

    assert (None, None) == (context.current.get(), context.tracer)


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("some_library")
    exec("def work(): return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "some_library", module)
    return module


def instrument(wrap):
    wrap("some_library:work", lambda: span("Work/call"))


def test_what_was_wrapped_is_the_original_again(library):
    original = library.work
    with recording(plugins=[plugin(instrument=instrument)]):
        assert library.work is not original

    assert library.work is original


@pytest.mark.parametrize("hook", ["instrument", "on_start", "on_stop"])
def test_a_plugin_that_raises_fails_the_test_and_leaves_nothing_behind(library, hook):
    def fail(*args):
        raise ZeroDivisionError

    original, finders = library.work, list(sys.meta_path)
    argument = {"instrument": lambda wrap: fail(), "on_start": lambda agent: fail(), "on_stop": lambda agent: fail()}
    other = ModuleType("other")
    other.instrument = hookimpl(tryfirst=True)(
        lambda wrap: (instrument(wrap), wrap("not_imported_yet:work", lambda: None))
    )
    with pytest.raises(ZeroDivisionError), recording(plugins=[other, plugin(**{hook: argument[hook]})]):
        assert hook == "on_stop"

    assert library.work is original
    assert finders == sys.meta_path
    assert (None, None) == (context.tracer, agents.use(None))
    with recording() as scout:
        with transaction("Controller/home"):
            pass
        assert ["Controller/home"] == scout.operations


def test_a_plugin_that_cannot_be_loaded_fails_the_test():
    with pytest.raises(ScoutError, match="no_such_plugin cannot be imported"), recording(plugins=["no_such_plugin"]):
        pass

    assert context.tracer is None


def test_a_policy_that_raises_fails_the_test():
    with pytest.raises(ZeroDivisionError), recording(plugins=[plugin(score_transaction=lambda: 1 / 0)]) as scout:
        with transaction("Controller/home"):
            pass
        scout.transactions  # noqa: B018
