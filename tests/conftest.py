"""Fixtures of several test files. They import what they need: some tests run where not even the core can be imported."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from contextlib import ExitStack
from types import ModuleType

import pytest


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
    for thread in threading.enumerate():
        if thread.name.startswith("scout-core"):
            thread.join(5)  # otherwise the next test, in whichever file, may find it


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


@pytest.fixture(params=["wrap", "decorator"])
def timed(request, monkeypatch):
    """
    Return ``timed(function)``, which starts an agent and returns what replaces a function; ``timed.scout`` is the agent's.

    ``timed.outline()`` has the operation, the parent and the error of each span.
    """
    from scout_core import hookimpl, span
    from scout_core.testing import recording

    module = ModuleType("library")
    monkeypatch.setitem(sys.modules, "library", module)

    def replaced(function, kind=span):
        plugin = ModuleType("plugin0")
        plugin.instrument = hookimpl(lambda wrap: wrap("library:function", lambda *args: kind("Work/call"), root=True))
        is_wrapped = request.param == "wrap"
        module.function = function if is_wrapped else kind("Work/call")(function)
        replaced.scout = stack.enter_context(recording(plugins=[plugin] if is_wrapped else [], plugins_reraise=True))
        return module.function

    replaced.outline = lambda: [(found.operation, found.parent, found.error) for found in replaced.scout.spans]
    with ExitStack() as stack:
        yield replaced
