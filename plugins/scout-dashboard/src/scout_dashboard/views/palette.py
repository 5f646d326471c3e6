"""One colour per kind and per policy, the same on every page. Pages use CSS classes, never colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zlib import crc32

from scout_core.operations import CONTROLLER, JOB, OTHER

KINDS: Final = ("Middleware", CONTROLLER, JOB, "Template", "SQL", "MongoDB", "Redis", "Memcached", "HTTP")
"""Kinds with their own colour, in the order in which charts stack them."""
POLICIES: Final = ("percentile", "percent", "age", "speed", "error")
SHARED_COLOURS: Final = 6
"""Number of colours that all other names share."""


def kind_class(kind: str) -> str:
    """Return the CSS class of a kind; always one of ours, whatever the kind's name."""
    if kind in KINDS:
        return f"k-{kind.lower()}"
    return "k-other" if kind == OTHER else _shared_class(kind)


def policy_class(policy: str) -> str:
    """Return the CSS class of a policy."""
    return f"p-{policy}" if policy in POLICIES else _shared_class(policy)


def stacked(kinds: Iterable[str]) -> list[str]:
    """Sort kinds from the bottom of a chart to its top, in a fixed order so that a refresh never swaps two colours."""
    return sorted(kinds, key=lambda kind: (kind == OTHER, KINDS.index(kind) if kind in KINDS else len(KINDS), kind))


def chart_kinds(kinds: Iterable[str]) -> list[dict[str, str]]:
    """Return name and CSS class of each kind, from the bottom of a chart to its top."""
    return [{"name": kind, "css": kind_class(kind)} for kind in stacked(kinds)]


def totals_by_kind(summary: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Return own time and calls of each kind of a trace, most time first.

    Args:
        summary: rows of the trace's JSON (Any: texts and numbers).
    """
    totals: dict[str, dict[str, Any]] = {}
    for row in summary:
        total = totals.setdefault(row["kind"], {"kind": row["kind"], "exclusive_ms": 0.0, "count": 0})
        total["exclusive_ms"] += row["exclusive_ms"]
        total["count"] += row["count"]
    return sorted(totals.values(), key=lambda total: -float(total["exclusive_ms"]))


def _shared_class(name: str) -> str:
    return f"x-{crc32(name.encode('utf-8', 'surrogatepass')) % SHARED_COLOURS}"
