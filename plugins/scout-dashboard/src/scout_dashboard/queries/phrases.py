"""Short descriptions of what a built-in policy based its points on, for pages and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scout_core.measuring.report import Trace
from scout_dashboard import formatting
from scout_dashboard.queries.names import label_of

Figures = Mapping[str, float]
"""Keyed by the attributes of ``scout_core.Stats``; those that were not recorded are missing."""


def group_of(trace: Trace) -> dict[str, str | None]:
    """Return the ``text`` of a trace's group, and ``by``, the plugin that chose it; None: the group is the name."""
    return {"text": trace.group or trace.name, "by": trace.grouped_by or None}


def describe_evidence(policy: str, trace: Trace, figures: Figures) -> str | None:
    """
    Describe the basis of a policy's points, such as ``97.0 % of 204 transactions were shorter``.

    Returns:
        None for a policy that is not built in, and when a figure that it needs is missing.
    """
    if policy == "speed":
        return f"duration {formatting.duration(trace.duration * 1_000)}"
    if policy == "error":
        return "failed" if trace.is_error else f"{formatting.plural(len(trace.errors), 'error')} handled"
    if policy not in _PHRASES:
        return None
    needed, phrase = _PHRASES[policy]
    label = f"the group {trace.group}" if policy == "age" and trace.grouped_by else label_of(trace.name)
    return phrase(label, figures) if all(figure in figures for figure in needed) else None


_PHRASES: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str, Figures], str]]]] = {
    "percent": (
        ("share",),
        lambda label, figures: f"{formatting.percent(figures['share'])} of all time is spent in {label}",
    ),
    "age": (
        ("seconds_since_kept",),
        lambda label, figures: f"last trace of {label} kept {formatting.age(figures['seconds_since_kept'])} ago",
    ),
    "percentile": (
        ("quantile", "count"),
        lambda _, figures: (
            f"{formatting.percent(figures['quantile'])} of {formatting.plural(int(figures['count']), 'transaction')} were shorter"
        ),
    ),
}
"""Policy to the figures that it needs, and the phrase."""
