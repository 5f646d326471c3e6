"""Exporters of plugins: which are refused at registration, and how their errors are shown."""

from __future__ import annotations

import functools
import itertools
import logging
import re
import threading
from concurrent.futures import Future
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
from attrs import define

import scout_core
from scout_core import transaction
from scout_core.boundary.status import status_of
from scout_core.cli.findings import check_exporters
from scout_core.cli.live import LivePlugin
from scout_core.errors import NoReceiver, RejectedReport
from scout_core.problems import NextStep, Problem
from scout_core.sending import agent_thread, export_guard, outbox, period
from scout_core.sending.protocol import RunningPlugin, RunningProcess
from scout_core.states import State
from tests.workbench import Behaving, Keeper, eventually, exporting, is_balanced, plugin, running


async def send(report):
    raise AssertionError("nothing runs it")


async def send_in_parts(report):
    yield report


def generate(report):
    yield report


def plain(report):
    return None


class AsyncCall:
    async def __call__(self, report):
        raise AssertionError("nothing runs it")


class Holder:
    """Its method is async, and so is its static one."""

    async def method(self, report):
        raise AssertionError("nothing runs it")

    @staticmethod
    async def static(report):
        raise AssertionError("nothing runs it")

    @classmethod
    async def of_class(cls, report):
        raise AssertionError("nothing runs it")


@define
class Sender:
    name: str = "sender"

    def export(self, report):
        return None


class AsyncSender:
    name = "async"

    async def export(self, report):
        raise AssertionError("nothing runs it")


class WithPartialMethod:
    name = "partialmethod"

    async def _send(self, url, report):
        raise AssertionError("nothing runs it")

    export = functools.partialmethod(_send, "http://127.0.0.1")


def named(export) -> SimpleNamespace:
    return SimpleNamespace(name="odd", export=export)


ASYNC = "export must not be async"
GENERATOR = "export must not be a generator function"
REFUSED = {
    "async method": (AsyncSender(), ASYNC),
    "async function": (named(send), ASYNC),
    "async generator": (named(send_in_parts), ASYNC),
    "async call": (named(AsyncCall()), ASYNC),
    "async bound method": (named(Holder().method), ASYNC),
    "async static method": (named(Holder.static), ASYNC),
    "async class method": (named(Holder.of_class), ASYNC),
    "partial of async": (named(functools.partial(send)), ASYNC),
    "partial of a partial of async": (named(functools.partial(functools.partial(send))), ASYNC),
    "partial of an async call": (named(functools.partial(AsyncCall())), ASYNC),
    "partialmethod": (WithPartialMethod(), ASYNC),
    "async mock": (named(AsyncMock()), ASYNC),
    "generator function": (named(generate), GENERATOR),
    "partial of a generator function": (named(functools.partial(generate)), GENERATOR),
    "class": (Sender, "the class Sender is not an exporter; return an instance of it"),
    "class as export": (named(Sender), "export must be a method, not a class"),
    "no export": (SimpleNamespace(name="odd"), "an exporter has a name and a method export"),
    "export is None": (named(None), "an exporter has a name and a method export"),
    "export is a text": (named("http://127.0.0.1"), "export must be a method, got an object of type str"),
    "no parameter": (named(lambda: None), "export must take one argument, the report"),
    "two parameters": (named(lambda report, more: None), "export must take one argument, the report"),
    "lambda": (lambda report: None, "an exporter has a name and a method export, got the function <lambda>"),
    "None": (None, "an exporter has a name and a method export, got None"),
    "number": (5, "an exporter has a name and a method export, got an object of type int"),
    "name is empty": (Sender(""), "must have 1 to 100 printable characters"),
    "name is long": (Sender("x" * 101), "must have 1 to 100 printable characters"),
    "name has lines": (Sender("a\nb"), "must have 1 to 100 printable characters"),
    "name is a number": (Sender(5), "an exporter has a name and a method export"),
}


@pytest.mark.parametrize(("exporter", "problem"), REFUSED.values(), ids=REFUSED)
def test_an_exporter_that_cannot_work_is_refused_with_the_name_of_its_plugin(caplog, exporter, problem):
    good = Keeper("good")
    odd = plugin("odd_plugin", register_exporters=lambda: [exporter])
    with running(exporting(good), odd, threaded=False) as agent:
        (status,) = (status for status in agent.plugin_statuses() if status.name == "odd_plugin")

        assert [good] == agent.exporters
    assert (State.ACTIVE, 1) == (status.state, status.errors)
    assert problem in status.last_error
    assert [("invalid-exporter", True)] == [(found.kind, problem in found.detail) for found in status.problems]
    assert status.next_step.kind == "fix-error"
    (warning,) = (record for record in caplog.records if "odd_plugin" in record.getMessage())
    assert logging.WARNING == warning.levelno
    assert problem in warning.getMessage()


@pytest.mark.parametrize(
    "exporter",
    [
        named(plain),
        named(functools.partial(plain)),
        named(print),
        named(lambda report, *more, **options: None),
        named(lambda report, timeout=5: None),
        Sender(),
        Sender("naïve 名"),
        Keeper(),
    ],
)
def test_an_exporter_that_works_is_accepted(exporter):
    with running(exporting(exporter), threaded=False) as agent:
        assert [exporter] == agent.exporters


class EndlessSequence:
    def __getitem__(self, number):
        return Sender()


@pytest.mark.parametrize(
    "endless",
    [
        lambda: EndlessSequence(),
        lambda: itertools.repeat(Sender()),
        lambda: itertools.repeat(None),
        lambda: (Sender(f"number {number}") for number in itertools.count()),
        lambda: map(Sender, itertools.cycle("abc")),
    ],
    ids=["sequence", "the same", "None", "numbered", "cycle"],
)
def test_endless_exporters_are_refused_with_the_name_of_their_plugin(caplog, endless):
    good = Keeper("good")
    with running(exporting(good), plugin("endless", register_exporters=endless), threaded=False) as agent:
        assert [good] == agent.exporters

    assert "plugin 'endless': register_exporters returned more than 20 exporters; none of them is used" in caplog.text


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (lambda: "exporter", "not a text"),
        (lambda: 0, "int is not iter"),
    ],
)
def test_something_else_than_a_list_is_refused(given, problem):
    with running(plugin("odd_plugin", register_exporters=given), threaded=False) as agent:
        assert problem in status_of(agent.plugins.all["odd_plugin"]).last_error


def test_a_second_exporter_of_the_same_name_is_refused_with_the_name_of_the_first_plugin():
    with running(exporting(Keeper("same")), plugin("zz", register_exporters=lambda: [Keeper("same")])) as agent:
        error = status_of(agent.plugins.all["zz"]).last_error

    assert error == "ValueError: there is an exporter 'same' already, of plugin 'test_exporters'"


# errors


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(agent_thread, "TICK", 0.005)
    monkeypatch.setattr(period, "FIRST_PERIOD", 0.02)
    monkeypatch.setattr(outbox, "pause_after", lambda failures: 0.001)


def raising(error: BaseException):
    def behave(report):
        raise error

    return behave


def owner(agent):
    return status_of(agent.plugins.all["test_exporters"])


@pytest.mark.parametrize(
    "error",
    [RuntimeError("broken"), OSError("unreachable"), RejectedReport("broken"), SystemExit(3), KeyboardInterrupt()],
)
def test_an_exporter_that_always_fails_is_shown_as_failing(quick, caplog, error):
    caplog.set_level(logging.INFO, "scout_core")
    exporter = Behaving("odd", raising(error))
    with running(exporting(exporter), report_period=0.02) as agent:
        with transaction("Job/one"):
            pass
        eventually(lambda: owner(agent).errors > 3)
        status = owner(agent)
        assert is_balanced(agent, "odd")

    name = type(error).__name__
    assert re.match(rf"{name}(: {error})? at ", status.last_error)
    assert ["export-failed"] == [problem.kind for problem in status.problems]
    assert "exporter 'odd' failed " in status.reason
    assert "fix-export" == status.next_step.kind
    assert any(frame[2] == "behave" for frame in status.traceback)
    (function,) = (function for function in status.functions if function.place == "odd.export")
    assert (True, False) == (function.errors > 3, function.is_recovered)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert ["exporter odd of plugin 'test_exporters': "] == [text[:41] for text in warnings]


def test_an_exporter_that_works_again_needs_no_attention(quick):
    left = [OSError("unreachable")] * 3
    exporter = Behaving("odd", lambda report: raising(left.pop())(report) if left else None)
    with running(exporting(exporter), report_period=0.02) as agent:
        with transaction("Job/one"):
            pass
        eventually(lambda: exporter.counted)
        status = owner(agent)

    (function,) = (function for function in status.functions if function.place == "odd.export")
    assert (3, (), None) == (status.errors, status.problems, status.next_step)
    assert (3, True) == (function.errors, function.is_recovered)


def test_an_exporter_without_a_receiver_has_no_errors(quick, caplog):
    exporter = Behaving("odd", raising(NoReceiver("nobody is there", "no collector")))
    with running(exporting(exporter), report_period=0.02) as agent:
        with transaction("Job/one"):
            pass
        eventually(lambda: agent.counters("odd").dropped == {"no collector": 1})
        status = owner(agent)

    assert (0, None, ()) == (status.errors, status.last_error, status.problems)
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("make", [send, send_in_parts, generate], ids=["coroutine", "async generator", "generator"])
def test_an_exporter_whose_result_nothing_runs_has_not_exported(quick, make):
    """As when a decorator hides that the function is async."""
    with running(exporting(named(lambda report: make(report))), report_period=0.02) as agent:
        with transaction("Job/one"):
            pass
        eventually(lambda: agent.counters("odd").dropped == {"export did not run": 1})
        status = owner(agent)

    assert "export returned an object of type " in status.last_error
    assert 0 == agent.counters("odd").exported


@pytest.mark.parametrize("result", [True, "text", Future(), object(), 5])
def test_any_other_result_is_ignored(quick, result):
    with running(exporting(Behaving("odd", lambda report: None), named(lambda report: result))) as agent:
        pass
    exporter = named(lambda report: result)
    exporter.name = "other"
    with running(exporting(exporter), report_period=0.02) as agent:
        with transaction("Job/one"):
            pass
        eventually(lambda: agent.counters("other").exported == 1)


def test_an_exporter_that_never_returns_is_shown_and_does_not_affect_others(quick, monkeypatch, caplog):
    monkeypatch.setattr(export_guard, "HANGS_AFTER", 0.05)
    monkeypatch.setattr(outbox, "HANGS_AFTER", 0.05)
    gate, good = threading.Event(), Keeper("good")
    try:
        with running(exporting(Behaving("odd", lambda report: gate.wait(60)), good), report_period=0.02) as agent:
            for _ in range(3):
                with transaction("Job/one"):
                    pass
                arrived = good.counted
                eventually(lambda before=arrived: good.counted > before)
            problems = eventually(lambda: owner(agent).problems)
            eventually(lambda: "has not returned for" in caplog.text)
            agent.stop(0.1)
            dropped = agent.counters("odd").dropped
    finally:
        gate.set()

    assert ["export-hangs"] == [problem.kind for problem in problems]
    assert {"not sent before the process ended": 3} == dropped
    assert 3 == agent.counters("good").exported


class BadText(RejectedReport):
    def __str__(self):
        raise ValueError("no text")


def test_a_rejection_without_a_printable_message_is_counted(quick):
    with running(exporting(Behaving("odd", raising(BadText("x"))))) as agent:
        with transaction("Job/one"):
            pass
        agent.stop(5)

    assert {"rejected": 1} == agent.counters("odd").dropped
    assert "BadText: <message could not be read>" in owner(agent).last_error


def test_secrets_in_the_errors_of_exporters_are_filtered(quick, caplog):
    error = ConnectionError("refused: https://user:hunter2@host.invalid/v1?api_key=0123456789abcdef0123")
    with running(exporting(Behaving("odd", raising(error)))) as agent:
        with transaction("Job/one"):
            pass
        agent.stop(5)
        status = owner(agent)

    for secret in ("hunter2", "0123456789abcdef"):
        assert secret not in f"{status} {caplog.text}"


def test_after_a_fork_an_exporter_starts_without_errors():
    guard = export_guard.ExportGuard("plugin", "odd", Keeper("odd"))
    guard.enter()
    guard.note(OSError("unreachable"))
    guard.enter()
    guard.forget_calls()

    assert (0, 0.0, True, None) == (guard.failures.count, guard.seconds_busy, guard.is_recovered, guard.problem)


def test_the_public_api_raises_in_tests():
    with pytest.raises(ValueError, match="export must not be async"):
        scout_core.start(plugins=[exporting(AsyncSender())], plugins_reraise=True)


# the command


def live(pid: int, *problems: Problem, is_running: bool = True) -> LivePlugin:
    plugin = RunningPlugin(
        name="to-file", state=State.ACTIVE, reason="", problems=problems, calls=9, errors=9, last_error="OSError: full",
        next_step=NextStep("fix-export", "check the receiver"), traceback=(), functions=(), wrapped=(), waiting=(), not_found=(),
    )  # fmt: skip
    process = RunningProcess(
        app="Shop", host="web-1", pid=pid, instance=f"{pid:016x}", agent="0", python="3", revision="", started=1e9,
        seen=1e9, plugins=(plugin,),
    )  # fmt: skip
    return LivePlugin(plugin, process, 1.0, is_running)


FAILED = Problem("export-failed", "file", "exporter 'file' failed 9 times in a row; last error: OSError: full")


def test_the_doctor_finds_exporters_that_fail_in_running_processes():
    findings = list(check_exporters([live(1, FAILED), live(2), live(3, FAILED), live(4, FAILED, is_running=False)]))

    assert [("problem", "exporters", f"to-file: {FAILED} (in 2 processes)")] == [
        (finding.state, finding.area, finding.text) for finding in findings
    ]
    assert "check the receiver; details: scout-core plugins to-file" == findings[0].advice


def test_the_doctor_finds_nothing_while_exporters_work():
    slow = Problem("slow", "on_keep", "on_keep is slow")

    assert [] == list(check_exporters([live(1), live(2, slow), live(3, FAILED, is_running=False)]))
