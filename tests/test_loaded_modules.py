"""Modules that a process loads: none for what it does not use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEADERS = {f"scout_core.boundary.{name}" for name in ("sending", "header_places", "headers", "header_names", "presets")}
HOSTS = {"scout_core.text.hosts"}
UNUSED = HEADERS | HOSTS | {
    "scout_core.instruments",
    "scout_core.log_records",
    "scout_core.proxies",
    "scout_core.recording.decorate",
    "scout_core.recording.propagation",
    "scout_core.recording.stepwise.callables",
    "scout_core.recording.stepwise.streams",
    "scout_core.testing",
    "psutil",
    "urllib.request",
    "wrapt",
}  # fmt: skip
RECORDING = {
    "scout_core.agent",
    "scout_core.boundary.hooks",
    "scout_core.boundary.plugins",
    "scout_core.boundary.wrap",
    "scout_core.measuring.metrics",
    "scout_core.sending.recorder",
}
PLUGIN = """
import types
from scout_core import hookimpl, span
plugin = types.ModuleType("plugin")
plugin.instrument = hookimpl(lambda wrap: wrap("string:Template.substitute", lambda *args, **kwargs: span("A/b"){headers}))
"""


def loaded(program: str, **environment: str) -> set[str]:
    """Return the modules that are loaded once a program has run."""
    code = f"{program}\nimport sys; print(*sys.modules)"
    given = {"SCOUT_PLUGINS_AUTOLOAD": "false", **environment}
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **given}, capture_output=True, text=True, check=True
    )
    return set(ended.stdout.split())


def test_nothing_that_records_is_loaded_while_monitor_is_false():
    found = loaded("import scout_core; assert scout_core.start() is None", SCOUT_MONITOR="false")

    assert "scout_core.running" in found
    assert set() == found & (RECORDING | UNUSED)
    assert RECORDING <= loaded("import scout_core; scout_core.start()")


@pytest.mark.parametrize(
    "program",
    [
        "import scout_core",
        "import scout_core; scout_core.start()",
        PLUGIN.format(headers="") + "import scout_core, string; scout_core.start(plugins=[plugin])",
    ],
    ids=["import", "start", "a plugin"],
)
def test_what_nobody_uses_is_not_loaded(program):
    assert set() == loaded(program) & UNUSED


def test_what_sends_headers_is_loaded_when_a_plugin_names_some():
    program = PLUGIN.format(headers=', headers="headers"') + "import scout_core; scout_core.start(plugins=[plugin])"

    assert HEADERS == loaded(program) & (HEADERS | HOSTS)


@pytest.mark.parametrize("name", ["SCOUT_TRACE_HOSTS", "SCOUT_TRACE_HOSTS_EXCLUDE"])
def test_what_compares_hosts_is_loaded_at_start_where_hosts_are_chosen(name):
    assert set(HOSTS) == loaded("import scout_core; scout_core.start()", **{name: "shop.example"}) & (HEADERS | HOSTS)
