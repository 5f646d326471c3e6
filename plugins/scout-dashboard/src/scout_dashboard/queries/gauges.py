"""Gauges of processes: memory, processor time, and what plugins measure; summed over the running processes of each application."""

from __future__ import annotations

from collections.abc import Iterable

from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.processes import RUNNING


def gauges_of(facts: Facts, seen: float) -> Facts:
    """
    Return the gauges of one process.

    Args:
        seen: time of its latest report.

    Returns:
        ``gauges``: plugin to name to number. ``processor``: the share of one core, 1.0 being all of it, since the report before;
        None when that is unknown.
    """
    return {"gauges": facts.get("gauges", {}), "processor": _processor(facts, seen)}


def usage(processes: Iterable[Facts]) -> list[Facts]:
    """Return the sums over the running processes of each application that have gauges, by name of the application."""
    sums: dict[str, Facts] = {}
    for process in processes:
        if process["gauges"] and process["reports"] is not None and process["state"] == RUNNING:
            app = process["app"]
            _add(sums.setdefault(app, {"app": app, "processes": 0, "processor": None, "gauges": {}}), process)
    return [sums[app] for app in sorted(sums)]


def _add(total: Facts, process: Facts) -> None:
    total["processes"] += 1
    if process["processor"] is not None:
        total["processor"] = (total["processor"] or 0.0) + process["processor"]
    for plugin, gauges in process["gauges"].items():
        own = total["gauges"].setdefault(plugin, {})
        for name, number in gauges.items():
            own[name] = own.get(name, 0.0) + number


def _processor(facts: Facts, seen: float) -> float | None:
    before = facts.get("gauges_before")
    if not before or seen <= before["seen"]:
        return None
    used = [state.get("gauges", {}).get("process", {}).get("cpu_seconds") for state in (before, facts)]
    if None in used:
        return None
    return float(max(0.0, used[1] - used[0]) / (seen - before["seen"]))
