"""Why a trace was kept: the points of each policy as parts of a bar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from scout_dashboard.views.palette import policy_class

HINTS: Final = {
    "speed": "its duration",
    "error": "whether it failed, or errors were handled in it",
    "percent": "share of all time spent in this name",
    "age": "time since a trace of this group was last kept",
    "percentile": "how unusual its duration is for this name",
}


@frozen
class Part:
    """One policy's points."""

    policy: str
    points: float
    css: str
    x: float
    """Percent of the bar; a part with negative points has no width."""
    width: float


def parts(policies: Mapping[str, float]) -> list[Part]:
    """Return the parts of a score's bar, most points first."""
    ranked = sorted(policies.items(), key=lambda item: (-item[1], item[0]))
    total = sum(points for _, points in ranked if points > 0) or 1.0
    result, x = [], 0.0
    for policy, points in ranked:
        width = 100 * max(0.0, points) / total
        result.append(Part(policy, points, policy_class(policy), round(x, 3), round(width, 3)))
        x += width
    return result


def hint(policy: str) -> str:
    """Describe a built-in policy; a generic text for all others."""
    return HINTS.get(policy, "custom policy")
