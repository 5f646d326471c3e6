from __future__ import annotations

import asyncio
import logging
import signal
import threading

import pytest

import scout_core
from scout_core import transaction
from scout_core.log import Log
from scout_core.sending import recorder
from scout_core.threads import start_thread
from tests.workbench import Behaving, Keeper, eventually, exporting, plugin, running

pytestmark = pytest.mark.usefixtures("own_agent")
log = Log("scout_core.test")


class Handler(logging.Handler):
    """A handler that calls a function with each record."""

    def __init__(self, behave):
        super().__init__()
        self.behave = behave
        self.messages: list[str] = []

    def emit(self, record):
        self.messages.append(record.getMessage())
        self.behave(record)


@pytest.fixture
def handling():
    """Add a handler with this behaviour to the root logger, and log everything."""
    root, ours = logging.getLogger(), logging.getLogger("scout_core")
    level = ours.level
    added = []

    def add(behave) -> Handler:
        added.append(Handler(behave))
        root.addHandler(added[-1])
        ours.setLevel(logging.INFO)
        return added[-1]

    yield add
    ours.setLevel(level)
    for handler in added:
        root.removeHandler(handler)


@pytest.fixture
def filtering():
    """Add a filter to a logger or handler."""
    added = []

    def add(filterer, function) -> None:
        filterer.addFilter(function)
        added.append((filterer, function))

    yield add
    for filterer, function in added:
        filterer.removeFilter(function)


def fail(*_):
    raise RuntimeError("Working outside of request context.")


def test_a_message_comes_from_where_it_was_logged_and_carries_the_exception(caplog):
    caplog.set_level(logging.INFO)
    try:
        raise KeyError("x")
    except KeyError:
        log.error("it failed in %s", "test", exc_info=True)

    record = caplog.records[-1]
    assert ("it failed in test", __file__, "ERROR") == (record.getMessage(), record.pathname, record.levelname)
    assert KeyError is record.exc_info[0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\nERROR forged", r"\x1b[31mred\nERROR forged"),
        ("\u202eevil", r"\u202eevil"),
        ("x" * 100_000, "x" * 3988 + "…"),
    ],
)
def test_a_message_is_one_visible_and_bounded_line(caplog, text, shown):
    log.warning("it failed: %s", text)

    record = caplog.records[-1]
    assert (f"it failed: {shown}", __file__) == (record.getMessage(), record.pathname)


def break_handler(handling, filtering):
    handling(fail)


def break_filter_of_handler(handling, filtering):
    filtering(handling(lambda record: None), fail)


def break_filter_of_ours(handling, filtering):
    filtering(logging.getLogger("scout_core"), fail)


BROKEN = [break_handler, break_filter_of_handler, break_filter_of_ours]


@pytest.mark.parametrize("reports_errors", [True, False])
@pytest.mark.parametrize("break_logging", BROKEN)
def test_start_and_stop_do_not_raise_what_logging_raises(
    handling, filtering, break_logging, reports_errors, monkeypatch, capsys
):
    monkeypatch.setattr(logging, "raiseExceptions", reports_errors)
    break_logging(handling, filtering)

    agent = scout_core.start(no_such_option=1)
    with transaction("Controller/home"):
        pass

    printed = "no_such_option" in (err := capsys.readouterr().err) and "(logging raised RuntimeError)" in err
    assert reports_errors == printed
    assert agent.is_running
    assert 1 == agent.counters().finished


@pytest.mark.parametrize(
    "error",
    [RuntimeError("no database"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()],
)
def test_the_threads_live_on_whatever_logging_raises(handling, quick, error, monkeypatch):
    """A failing hook, a failing exporter and a fault of our own are each logged on our threads."""

    def throw(record):
        raise error

    handler = handling(throw)
    keeper = Keeper()
    failing = Behaving("failing", lambda report: 1 / 0)
    plugins = exporting(keeper, failing), plugin("test_hook", on_request_end=lambda transaction: 1 / 0)
    with running(*plugins, report_period=0.02) as agent:
        monkeypatch.setattr(recorder, "compile_all", fail)
        for count in range(1, 4):
            with transaction("Controller/home"):
                pass
            eventually(lambda count=count: count == keeper.counted)
        eventually(lambda: any("exporter failing" in message for message in handler.messages))
        alive = {thread.name for thread in threading.enumerate()}

    assert {"scout-core", "scout-core-keeper", "scout-core-failing"} <= alive
    assert len(handler.messages) == agent.counters("keeper").logging_failures >= 3
    assert 1 == sum("internal error in the agent's thread" in message for message in handler.messages)


class OwnClass(BaseException):
    pass


CONTAINED = [
    SystemExit(3),
    OwnClass("mine"),
    pytest.fail.Exception("a test that watches the log"),
    GeneratorExit(),
    asyncio.CancelledError(),
]


@pytest.mark.parametrize("error", CONTAINED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["handler", "filter of a handler", "filter of ours"])
def test_start_does_not_raise_what_logging_raises_whatever_its_class(handling, filtering, capsys, place, error):
    def throw(record):
        raise error

    if place == "handler":
        handling(throw)
    else:
        filtering(
            handling(lambda record: None) if place == "filter of a handler" else logging.getLogger("scout_core"), throw
        )

    agent = scout_core.start(no_such_option=1)

    assert agent.is_running
    assert f"(logging raised {type(error).__name__})" in capsys.readouterr().err


def test_ctrl_c_in_a_handler_passes(handling):
    def throw(record):
        raise KeyboardInterrupt

    handling(throw)

    with pytest.raises(KeyboardInterrupt):
        log.warning("stop")


@pytest.mark.parametrize("error", [SystemExit(1), OwnClass("time is up")], ids=lambda error: type(error).__name__)
def test_a_signal_handler_that_ends_the_application_while_it_logs_passes(handling, error):
    def end(number, frame):
        raise error

    handling(lambda record: signal.raise_signal(signal.SIGALRM))
    before = signal.signal(signal.SIGALRM, end)
    try:
        with pytest.raises(type(error)):
            log.warning("stop")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_sys_exit_in_a_handler_leaves_no_thread_of_ours_or_of_others():
    passed = []

    def throw(record):
        raise SystemExit(1)

    def run():
        try:
            log.warning("stop")
        except SystemExit:
            passed.append(threading.current_thread().name)

    handler = Handler(throw)
    logging.getLogger().addHandler(handler)
    try:
        start_thread(run, "ours").join()
        other = threading.Thread(target=run, name="other")
        other.start()
        other.join()
    finally:
        logging.getLogger().removeHandler(handler)

    assert [] == passed
    assert ["stop", "stop"] == handler.messages


def test_the_time_limit_of_the_application_passes(handling):
    """A signal handler raises, while a handler of the application's logging waits."""

    class TimeLimit(Exception):
        pass

    def interrupt(number, frame):
        raise TimeLimit

    handling(lambda record: signal.raise_signal(signal.SIGALRM))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(TimeLimit):
            log.warning("waits")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_handler_that_logs_through_the_agent_again_is_called_once(handling):
    def again(record):
        scout_core.start(another_unknown_option=1)
        log.warning("from the handler")

    handler = handling(again)

    scout_core.start()
    log.warning("first")
    log.warning("second")

    assert ["first", "second"] == [
        message for message in handler.messages if message in ("first", "second", "from the handler")
    ]


def test_a_handler_that_opens_a_transaction_is_called_once_for_each_message(handling, quick):
    def trace(record):
        with transaction("Job/logging"):
            pass

    handler = handling(trace)
    keeper = Keeper()
    with running(exporting(keeper), report_period=0.02, no_such_option=1) as agent:
        with transaction("Controller/home"):
            pass
        eventually(lambda: keeper.reports)
    logged = list(handler.messages)

    assert 1 == sum("no_such_option" in message for message in logged)
    assert 1 + len(logged) == agent.counters("keeper").finished


def test_a_class_of_loggers_that_raises_costs_only_the_message(monkeypatch):
    class Broken(logging.Logger):
        def __init__(self, name):
            raise RuntimeError("no logger")

    before = logging.getLoggerClass()
    logging.setLoggerClass(Broken)
    try:
        Log("scout_core.never_used_before").warning("lost")
    finally:
        logging.setLoggerClass(before)
