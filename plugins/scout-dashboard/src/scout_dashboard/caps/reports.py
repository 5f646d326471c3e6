"""The limits of each part of a report."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from attrs import evolve

from scout_core.measuring.report import Counters, FunctionStatus, PluginStatus, Report
from scout_dashboard.caps.cutting import Cutter
from scout_dashboard.caps.errors import few_groups
from scout_dashboard.caps.figures import few_names, few_queues
from scout_dashboard.caps.operations import few_operations
from scout_dashboard.caps.texts import texts_within
from scout_dashboard.caps.traces import trace_within

MAX_TRACES: Final = 200
"""Those with the highest scores are kept."""
MAX_TARGETS: Final = 1_000
"""Targets of a plugin, of each kind, and functions of a plugin."""


def cap(report: Report) -> tuple[Report, Counter[str]]:
    """Return the report within the limits, and how much was beyond them, by what it was."""
    cutter = Cutter()
    by_score = sorted(report.traces, key=lambda trace: -trace.score)
    counters, gauges = cutter.some(report.counters, "exporters"), cutter.some(report.gauges, "plugins with gauges")
    capped = evolve(
        report,
        transactions=few_queues(few_names(report.transactions, cutter), cutter),
        error_groups=few_groups(report.error_groups, cutter),
        operations=few_operations(report.operations, cutter),
        traces=tuple(trace_within(trace, cutter) for trace in cutter.first(by_score, "traces", MAX_TRACES)),
        plugins=tuple(_plugin(plugin, cutter) for plugin in cutter.first(report.plugins, "plugins")),
        counters={exporter: _counters(of_exporter, cutter) for exporter, of_exporter in counters.items()},
        gauges={plugin: cutter.some(of_plugin, "gauges of a plugin") for plugin, of_plugin in gauges.items()},
        left_out=cutter.some(report.left_out, "parts left out"),
    )
    return texts_within(capped, cutter), cutter.cut


def _plugin(plugin: PluginStatus, cutter: Cutter) -> PluginStatus:
    kinds = ("hooks", "wrapped", "waiting", "not_found", "target_problems", "problems", "traceback")
    # Any: each list has its own type
    lists: dict[str, Any] = {
        kind: cutter.first(getattr(plugin, kind), "targets of a plugin", MAX_TARGETS) for kind in kinds
    }
    functions = cutter.first(plugin.functions, "functions of a plugin", MAX_TARGETS)
    return evolve(plugin, **lists, functions=tuple(_function(function, cutter) for function in functions))


def _function(function: FunctionStatus, cutter: Cutter) -> FunctionStatus:
    unfollowed = cutter.first(function.unfollowed, "results that are not followed")
    return function if unfollowed == function.unfollowed else evolve(function, unfollowed=unfollowed)


def _counters(counters: Counters, cutter: Cutter) -> Counters:
    return evolve(
        counters,
        dropped=cutter.summed(counters.dropped, "reasons for dropped transactions"),
        left_out=cutter.some(counters.left_out, "parts left out"),
    )
