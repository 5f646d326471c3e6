"""The facts about a plugin's functions and targets as text for a terminal, for a plugin here and in running processes."""

from __future__ import annotations

from scout_core.measuring.report import PluginStatus
from scout_core.problems import TARGET_LABELS
from scout_core.sending.protocol import RunningFunction, RunningPlugin


def describe_function(function: RunningFunction) -> str:
    """``score_transaction: 30 calls, p50 4 µs, p95 9 µs``, followed by what is wrong with it."""
    times = ""
    if function.p50_ms is not None and function.p95_ms is not None:
        times = f", p50 {format_cost(function.p50_ms)}, p95 {format_cost(function.p95_ms)}"
    text = f"{function.place}: {function.calls} calls{times}"
    slow = str(function.too_slow or function.slow)  # an older agent sends texts instead of the figures
    if function.off:
        return f"{text}; switched off: {function.too_many_errors or function.too_slow or function.off}"
    if function.unfollowed:
        text += f"; its spans end with the call, though it returns {' and '.join(function.unfollowed)}: keep_open() lets them last longer"
    return f"{text}; slow: {slow}" if slow else text


def describe_targets(plugin: PluginStatus | RunningPlugin) -> list[tuple[str, list[str]]]:
    """Return the targets that are neither wrapped nor waiting, each with the reason, by what they are: ``not found``, ``left out``."""
    problems = plugin.target_problems
    if not problems:
        return [("not found", list(plugin.not_found))] if plugin.not_found else []  # an older agent sends texts there
    kinds = dict.fromkeys(problem.kind for problem in problems)
    return [
        (TARGET_LABELS.get(kind, kind), [problem.detail for problem in problems if problem.kind == kind])
        for kind in kinds
    ]


def format_cost(milliseconds: float) -> str:
    """``0.4 µs``, ``12 µs``, ``2.5 ms`` or ``89 ms``: at least two digits."""
    value, unit = (milliseconds, "ms") if milliseconds >= 0.9995 else (milliseconds * 1e3, "µs")
    return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.1f} {unit}"
