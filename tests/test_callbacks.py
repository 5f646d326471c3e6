"""Callbacks: functions that an application has called with each transaction or report, each one apart from all others."""

from __future__ import annotations

import functools
import os
import platform
from datetime import datetime

import pytest

import scout_core
from scout_core import transaction
from scout_core.callbacks import PeriodMetadata, TransactionPayload, add_periodic_callback, add_transaction_callback
from tests.workbench import Keeper, exporting, plugin

pytestmark = pytest.mark.usefixtures("own_agent")


@pytest.fixture(autouse=True)
def _no_callbacks():
    yield
    from scout_core import callbacks

    for callback, _ in list(callbacks._names):
        scout_core.remove_callback(callback)


class Calls:
    """A callback that keeps what it is called with."""

    def __init__(self):
        self.found = []

    def __call__(self, payload):
        self.found.append(payload)


def ended(name="Controller/home", **tags):
    with transaction(name, **tags):
        pass


def statuses(agent):
    return {status.name: status for status in agent.plugin_statuses() if status.name.startswith("callback ")}


def test_a_transaction_callback_gets_the_documented_facts_of_each_transaction():
    calls = add_transaction_callback(Calls())
    agent = scout_core.start(name="Shop", hostname="web-1")
    with transaction("Controller/shop.cart", plan="pro") as request:
        request.queued_at = request.started - 0.5
    with pytest.raises(KeyError), transaction("Job/mail.send"):
        raise KeyError
    ended("Cron/clean")
    with transaction("Controller/ignored") as ignored:
        ignored.ignore()
    scout_core.stop()

    cart, mail, clean = calls.found
    assert cart == TransactionPayload(
        transaction_name="Controller/shop.cart",
        transaction_type="Controller",
        transaction_type_slug="web",
        duration_ms=request.duration * 1000,
        queue_time_ms=pytest.approx(500, abs=50),
        is_error=False,
        context={"plan": "pro"},
        hostname=agent.process.hostname,
        app_name="Shop",
    )
    assert ("Job/mail.send", "job", True, None) == (
        *(mail.transaction_name, mail.transaction_type_slug, mail.is_error, mail.queue_time_ms),
    )
    assert ("Cron", "transaction") == (clean.transaction_type, clean.transaction_type_slug)
    assert "web-1" == cart.hostname


def test_what_a_callback_does_to_the_payload_changes_nothing():
    keeper, refused = Keeper(), []

    @add_transaction_callback
    def change(payload):
        for act in (
            lambda: setattr(payload, "transaction_name", "Controller/other"),
            lambda: payload.context.update(plan="free"),
        ):
            try:
                act()
            except (AttributeError, TypeError) as error:
                refused.append(type(error).__name__)

    scout_core.start(plugins=[exporting(keeper)])
    ended(plan="pro")
    scout_core.stop()

    assert ["FrozenInstanceError", "AttributeError"] == refused
    assert [("Controller/home", {"plan": "pro"})] == [
        (trace.name, {"plan": trace.tags["plan"]}) for report in keeper.reports for trace in report.traces
    ]


def test_a_periodic_callback_gets_the_report_and_the_process_before_the_report_is_exported():
    keeper, seen = Keeper(), []

    @add_periodic_callback
    def note(report, metadata):
        seen.append((report, metadata, len(keeper.reports)))

    scout_core.start(name="Shop", revision_sha="abc", plugins=[exporting(keeper)])
    ended()
    scout_core.stop()

    ((report, metadata, exported_before),) = seen
    assert (keeper.reports[0].transactions, 0) == (report.transactions, exported_before)
    assert isinstance(metadata, PeriodMetadata)
    assert ("Shop", os.getpid(), platform.platform(), "abc") == (
        *(metadata.app_name, metadata.agent_pid, metadata.platform, metadata.revision),
    )
    assert int(report.end) == datetime.fromisoformat(metadata.agent_time).timestamp()


def test_a_callback_that_raises_stops_neither_others_nor_the_application_and_is_shown_under_its_name():
    def fails(payload):
        raise RuntimeError("no socket")

    add_transaction_callback(fails)
    calls, other = add_transaction_callback(Calls()), []
    agent = scout_core.start(plugins=[plugin(on_request_end=lambda transaction: other.append(transaction))])
    for _ in range(3):
        ended()
    scout_core.flush()
    shown = statuses(agent)
    scout_core.stop()

    name = f"callback {__name__}.{fails.__qualname__}"
    assert (3, 3) == (len(calls.found), len(other))
    assert 3 == shown[name].errors
    assert "no socket" in str(shown[name].last_error)
    assert [0, 3] == sorted(status.errors for status in shown.values())


@pytest.mark.parametrize("when", ["before the start", "while it runs", "from a hook of its start"])
def test_a_callback_may_be_added_at_any_time_and_also_holds_for_the_next_agent(when):
    calls = Calls()

    def adds(agent):
        if when == "from a hook of its start" and not calls.found:
            add_transaction_callback(calls)

    if when == "before the start":
        add_transaction_callback(calls)
    scout_core.start(plugins=[plugin(on_start=adds)])
    if when == "while it runs":
        add_transaction_callback(calls)
    ended("Controller/first")
    scout_core.stop()
    scout_core.start()
    ended("Controller/second")
    scout_core.stop()

    assert ["Controller/first", "Controller/second"] == [payload.transaction_name for payload in calls.found]
    assert all(payload.app_name for payload in calls.found)


def test_a_callback_that_is_removed_is_not_called_again_and_may_be_added_again():
    calls = add_transaction_callback(Calls())
    agent = scout_core.start()
    ended("Controller/first")
    scout_core.flush()
    scout_core.remove_callback(calls)
    ended("Controller/second")
    scout_core.flush()
    shown = statuses(agent)
    add_transaction_callback(calls)
    ended("Controller/third")
    scout_core.stop()

    assert {} == shown
    assert ["Controller/first", "Controller/third"] == [payload.transaction_name for payload in calls.found]
    with pytest.raises(ValueError, match="not a callback"):
        scout_core.remove_callback(print)


def test_two_callbacks_of_one_name_are_two_plugins():
    first, second = (add_transaction_callback(functools.partial(Calls())) for _ in range(2))
    agent = scout_core.start()
    ended()
    scout_core.flush()
    names = set(statuses(agent))
    scout_core.stop()

    assert {"callback partial", "callback partial 2"} == names
    assert (1, 1) == (len(first.func.found), len(second.func.found))


async def waits(payload): ...


class Waits:
    async def __call__(self, payload): ...


@pytest.mark.parametrize("callback", [None, "print", waits, functools.partial(waits), Waits(), Waits.__call__])
@pytest.mark.parametrize("add", [add_transaction_callback, add_periodic_callback])
def test_something_that_cannot_be_called_is_refused_with_its_name(add, callback):
    with pytest.raises(TypeError, match="a callback is|coroutine function") as refused:
        add(callback)

    assert any(name in str(refused.value) for name in ("str", "NoneType", "waits", "Waits", "partial"))
    with pytest.raises(ValueError, match="not a callback"):
        scout_core.remove_callback(callback)


def test_a_callback_is_added_once():
    calls = add_transaction_callback(Calls())
    with pytest.raises(ValueError, match="is a callback already"):
        add_periodic_callback(calls)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="not on this system, which cannot fork")
def test_a_callback_is_called_in_a_forked_child_with_the_facts_of_that_process():
    read, write = os.pipe()

    @add_periodic_callback
    def note(report, metadata):
        os.write(write, f"{metadata.agent_pid} ".encode())

    scout_core.start()
    pid = os.fork()
    if pid == 0:
        ended()
        scout_core.stop()
        os._exit(0)
    os.waitpid(pid, 0)
    scout_core.stop()
    os.close(write)

    assert str(pid) == os.read(read, 100).decode().strip()
    os.close(read)


def test_nothing_is_called_while_the_agent_is_not_running():
    calls = add_transaction_callback(Calls())
    ended()
    scout_core.start(monitor=False)
    ended()

    assert [] == calls.found
