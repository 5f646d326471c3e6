"""The protocol between agents, the command line and a collector with its dashboard."""

from __future__ import annotations

import pytest

from scout_core.sending.protocol import (
    Accepted,
    PluginsAnswer,
    TraceAnswer,
    error_text,
    is_heard_from,
    read_accepted,
    read_answer,
)

PLUGIN = {
    "name": "flask",
    "state": "active",
    "reason": "",
    "calls": 2,
    "errors": 1,
    "last_error": "KeyError: 'a'",
    "traceback": [{"file": "app.py", "line": 3, "function": "home"}],
    "functions": [
        {"place": "on_span", "calls": 2, "errors": 0, "p50_ms": None, "p95_ms": None, "slow": "", "off": ""},
    ],
    "wrapped": ["flask:Flask.full_dispatch_request"],
    "waiting": [],
    "not_found": [],
}
PROCESS = {
    "app": "Shop",
    "host": "web-1",
    "pid": 12,
    "instance": "0123456789abcdef",
    "agent": "0.1.0",
    "python": "3.11.7",
    "revision": "",
    "started": 1_700_000_000.0,
    "seen": 1_700_000_060,
}


def test_an_answer_is_structured_and_fields_of_a_newer_dashboard_are_ignored():
    facts = {"range": {}, "processes": [{**PROCESS, "plugins": [{**PLUGIN, "colour": "red"}], "load": 0.5}]}

    (process,) = read_answer(facts, PluginsAnswer).processes
    (plugin,) = process.plugins

    assert ("Shop", "web-1", 12, 1_700_000_060.0) == (process.app, process.host, process.pid, process.seen)
    assert ("flask", ("flask:Flask.full_dispatch_request",), "home") == (
        plugin.name,
        plugin.wrapped,
        plugin.traceback[0].function,
    )


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (None, "processes"),
        ([], "processes"),
        ({}, "processes"),
        ({"processes": [PROCESS]}, "plugins"),
        ({"processes": [{**PROCESS, "plugins": [], "pid": "12"}]}, "pid"),
        ({"processes": [{**PROCESS, "plugins": [{**PLUGIN, "calls": -1}]}]}, "calls"),
        ({"processes": [{**PROCESS, "plugins": [{**PLUGIN, "state": "retired"}]}]}, "state"),
    ],
)
def test_an_answer_of_another_shape_is_an_error_that_names_the_field(facts, reason):
    with pytest.raises(ValueError, match=reason):
        read_answer(facts, PluginsAnswer)


@pytest.mark.parametrize(
    ("period", "ago", "expected"),
    [
        (None, 180, True),
        (None, 181, False),
        (1.0, 180, True),
        (600.0, 1_800, True),
        (600.0, 1_801, False),
        (60.0, -5, True),
    ],
)
def test_a_process_is_heard_from_for_three_periods_and_three_minutes(period, ago, expected):
    assert expected is is_heard_from(1e9 - ago, period, now=1e9)


def test_of_a_trace_only_the_name_is_needed():
    facts = {"trace": {"name": "Job/a", "id": "5f3a"}, "spans": []}

    assert "Job/a" == read_answer(facts, TraceAnswer).trace.name


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"accepted": True, "duplicate": True, "next_report": 5}, Accepted(accepted=True, duplicate=True, next_report=5)),
        ({"accepted": True}, Accepted(accepted=True)),
        ({"accepted": True, "next_report": "soon"}, Accepted(accepted=True)),
        ({"accepted": "true"}, None),
        ({"accepted": 1}, None),
        ({"error": "who are you?"}, None),
        (None, None),
        ([], None),
    ],
)  # fmt: skip
def test_only_an_explicit_acceptance_is_accepted(facts, expected):
    assert expected == read_accepted(facts)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"error": "the store is full"}, "the store is full"),
        ({"error": "x" * 1_000}, "x" * 200),
        ({"error": ""}, "no reason given"),
        ({}, "no reason given"),
        (None, "no reason given"),
        ("the store is full", "no reason given"),
    ],
)
def test_a_failure_without_an_error_text_gives_no_reason(facts, expected):
    assert expected == error_text(facts)
