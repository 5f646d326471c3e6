"""``FirstRequests`` of middleware that records by itself: without a plugin, its target and its describer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

import scout_core
from scout_core import Transaction, hookimpl, transaction
from scout_core.first_requests import FirstRequests
from scout_core.log import Log
from scout_core.recording import context


class SlowToStart:
    """A plugin in whose ``on_start`` the start waits until others have been served; it keeps the names of what counts."""

    def __init__(self) -> None:
        self.is_starting = Event()
        self.may_end = Event()
        self.names: list[str] = []

    @hookimpl
    def on_start(self, agent: object) -> None:
        self.is_starting.set()
        assert self.may_end.wait(30)

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        self.names.append(transaction.operation)


@pytest.fixture(autouse=True)
def own_agent(monkeypatch, tmp_path) -> Iterator[None]:
    for variable in [name for name in os.environ if name.startswith("SCOUT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("SCOUT_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    scout_core.stop()


def serve(first: FirstRequests, name: str, path: str = "/") -> None:
    """Record a request as middleware does."""
    if not first.is_over:
        first.enter()
    if context.tracer is None:
        return
    web = transaction(f"Controller/{name}")
    web.environ = {"PATH_INFO": path}
    with web:
        pass


def while_starting(slow: SlowToStart, *paths: str, **settings: object) -> FirstRequests:
    """Serve these paths while the first request starts the agent."""
    first = FirstRequests("Shop", {"SCOUT_PLUGINS": [slow], **settings}, log=Log("scout_core.shop"))
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(serve, first, "first")
        try:
            if settings.get("SCOUT_MONITOR", True):
                assert slow.is_starting.wait(30)
            for path in paths:
                serve(first, "meanwhile", path)
        finally:
            slow.may_end.set()
        starting.result(30)
    return first


def test_requests_are_recorded_while_the_agent_starts_and_do_not_wait():
    slow = SlowToStart()
    first = while_starting(slow, "/", "/cart")
    serve(first, "later")
    scout_core.stop()

    assert ["Controller/first", "Controller/later", "Controller/meanwhile", "Controller/meanwhile"] == sorted(
        slow.names
    )
    assert first.is_over


def test_options_apply_to_requests_while_the_agent_starts():
    slow = SlowToStart()
    while_starting(slow, "/", "/health", SCOUT_IGNORE="/health")
    scout_core.stop()

    assert ["Controller/first", "Controller/meanwhile"] == sorted(slow.names)


@pytest.mark.parametrize("settings", [{"SCOUT_MONITOR": False}, {"SCOUT_PLUGINS": ["no_such_plugin"]}], ids=repr)
def test_requests_while_no_agent_starts_leave_nothing(settings):
    slow = SlowToStart()
    slow.is_starting.set()
    while_starting(slow, "/", **settings)

    assert context.tracer is None
    assert [] == slow.names


def test_a_running_agent_records_the_first_request(scout):
    serve(FirstRequests("Shop", {"SCOUT_NAME": "Shop"}, log=Log("scout_core.shop")), "first")

    assert ["Controller/first"] == scout.operations
    assert "Shop" == scout.agent.config.get("name")
