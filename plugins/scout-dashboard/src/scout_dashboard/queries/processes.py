"""The processes that reported in the last 24 hours, with their plugins, and the applications."""

from __future__ import annotations

import json
from typing import Final

from attrs import asdict

from scout_core.sending.protocol import PROBE_APP, ProcessFacts, is_heard_from
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.plugins import plugin_facts, urgency
from scout_dashboard.store.files import AHEAD
from scout_dashboard.store.reader import Reader

_SHOWN_SECONDS: Final = 86_400
_MOST_WITH_PLUGINS: Final = 50
RUNNING, SILENT, ENDED = "running", "silent", "ended"


def plugins(reader: Reader, *, app: str | None, now: float) -> Facts:
    """
    Return the plugins of each process: latest started process first, and plugins that need attention first.

    ``process_count`` is the number of all processes, of which the latest are returned.
    """
    found = latest_of(reader, app=app, now=now)
    return {
        "process_count": len(found),
        "processes": [
            head | {"plugins": _plugins(facts), "is_running": is_heard_from(head["seen"], facts.get("period"), now=now)}
            for head, facts in found[:_MOST_WITH_PLUGINS]
        ],
    }


def latest_of(reader: Reader, *, app: str | None, now: float, without: str = "") -> list[tuple[Facts, Facts]]:
    """
    Return each process with its latest report, latest started process first.

    Args:
        app: None for all applications.
        without: a part of the report that is not read.
    """
    since = now - _SHOWN_SECONDS
    sql = "SELECT instance, app, seen, json_remove(facts, '$.' || ?) FROM process WHERE seen >= ? ORDER BY seen"
    # The latest day comes last, so what is left is the latest report of each.
    latest: dict[str, tuple[str, float, str]] = {}
    for instance, of_app, seen, facts in reader.rows(
        "metrics", sql, (without or "none", since), start=since, end=now + AHEAD
    ):
        if of_app != PROBE_APP if app is None else of_app == app:
            latest[instance] = of_app, seen, facts
    rows = [(seen, json.loads(facts)) for _, seen, facts in latest.values()]
    found = [(_head(facts["process"], seen), facts) for seen, facts in rows]
    return sorted(found, key=lambda row: (-row[0]["started"], row[0]["instance"]))


def state_of(reports: Facts | None, seen: float, period: float | None, *, now: float) -> str:
    """
    Return ``running``, ``ended``, or ``silent``, for a process that has not ended and is not heard from any more.

    Args:
        reports: the process's ``ReportFacts``; None for an agent that does not number its reports.
    """
    if reports is not None and reports["has_ended"]:
        return ENDED
    return RUNNING if is_heard_from(seen, period, now=now) else SILENT


def apps(reader: Reader) -> list[Facts]:
    """Return each application and the time of its latest report."""
    return [{"name": app.name, "seen": app.last} for app in reader.apps()]


def oldest(reader: Reader) -> float | None:
    """Return the time of the oldest data; None for an empty store."""
    return min((app.first for app in reader.apps()), default=None)


def _plugins(facts: Facts) -> list[Facts]:
    plugins = [plugin_facts(status) for status in facts["plugins"]]
    return sorted(plugins, key=lambda plugin: (*urgency(plugin), plugin["name"]))


def _head(process: Facts, seen: float) -> Facts:
    return asdict(
        ProcessFacts(
            app=process["app"],
            host=process["hostname"],
            pid=process["pid"],
            instance=process["instance"],
            agent=process["agent"],
            python=process["python"],
            revision=process["revision"],
            started=process["started"],
            seen=seen,
        )
    )
