"""Fixtures of several test files. They import what they need: some tests run where not even the core can be imported."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from types import ModuleType

import pytest


def pytest_collection_finish():
    """
    Leave out of every later garbage collection what exists before the first test: thousands of tests, all of which stay anyway.

    Many tests need a full collection, which takes less than a millisecond then, instead of 150 (450 on a busy machine).
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def own_agent(monkeypatch, tmp_path):
    """Remove the settings of the machine, load no installed plugin, and stop an agent that the test started."""
    import scout_core

    for variable in [variable for variable in os.environ if variable.startswith("SCOUT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("SCOUT_PLUGINS_AUTOLOAD", "false")
    monkeypatch.setenv("SCOUT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    scout_core.stop(0)


@pytest.fixture
def quick(monkeypatch):
    """Let the agent's thread look at the inbox often, and send the first report soon."""
    from scout_core.sending import agent_thread, period

    monkeypatch.setattr(agent_thread, "TICK", 0.002)
    monkeypatch.setattr(period, "FIRST_PERIOD", 0.02)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder on ``sys.path``; modules that a test imports are removed after it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def library(request, monkeypatch):
    """Return the module ``library``, which can be imported during the test; its code is ``SOURCE`` of the test's file."""
    module = ModuleType("library")
    monkeypatch.setitem(sys.modules, "library", module)
    exec(request.module.SOURCE, module.__dict__)
    return module


@pytest.fixture
def sink(tmp_path):
    """Return a collector that processes with the state directory ``state`` find."""
    from tests.workbench import CollectorSink, announced

    sink = CollectorSink()
    announced(tmp_path / "state", sink.url)
    yield sink
    sink.close()
