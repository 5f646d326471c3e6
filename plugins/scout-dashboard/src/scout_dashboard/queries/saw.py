"""What each built-in policy looked at, in a few words; the page of a trace and the command say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scout_dashboard import formatting
from scout_dashboard.queries.names import label_of

Figures = Mapping[str, float]
"""By the names of ``scout_core.Stats``; what was not recorded is missing."""


def saw(policy: str, *, name: str, duration: float, figures: Figures) -> str | None:
    """
    One phrase, such as ``97.0 % of 204 transactions were shorter``.

    Returns:
        None for a policy that is not built in, and where a figure is missing that it looks at.
    """
    if policy == "speed":
        return f"it took {formatting.duration(duration * 1_000)}"
    if policy not in _SAW:
        return None
    needed, words = _SAW[policy]
    return words(label_of(name), figures) if all(figure in figures for figure in needed) else None


_SAW: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str, Figures], str]]]] = {
    "percent": (("share",), lambda label, seen: f"{formatting.percent(seen['share'])} of all time goes into {label}"),
    "age": (
        ("seconds_since_kept",),
        lambda label, seen: f"{formatting.age(seen['seconds_since_kept'])} since a trace of {label} was kept",
    ),
    "percentile": (
        ("quantile", "count"),
        lambda _, seen: (
            f"{formatting.percent(seen['quantile'])} of {formatting.plural(int(seen['count']), 'transaction')} were shorter"
        ),
    ),
}
"""The figures that it looks at, and the phrase."""
