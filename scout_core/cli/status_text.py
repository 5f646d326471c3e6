"""The facts about a plugin's functions and targets as text for a terminal, for a plugin here and in running processes."""

from __future__ import annotations

from scout_core.measuring.report import PluginStatus
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


def describe_missing(plugin: PluginStatus | RunningPlugin) -> list[str]:
    """Return the targets that cannot be wrapped, each with the reason."""
    if plugin.target_problems:
        return [problem.detail for problem in plugin.target_problems]
    return list(plugin.not_found)  # an older agent sends texts there


def format_cost(milliseconds: float) -> str:
    """``0.4 µs``, ``12 µs``, ``2.5 ms`` or ``89 ms``: at least two digits."""
    value, unit = (milliseconds, "ms") if milliseconds >= 0.9995 else (milliseconds * 1e3, "µs")
    return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.1f} {unit}"
