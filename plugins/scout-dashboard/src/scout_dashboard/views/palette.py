"""One colour per kind and per policy, the same on every page: a CSS class, never a colour, is what a page carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from zlib import crc32

from scout_core.operations import OTHER

KINDS: Final = ("Middleware", "Controller", "Job", "Template", "SQL", "MongoDB", "Redis", "Memcached", "HTTP")
"""Kinds with a colour of their own, in the order in which charts stack them."""
POLICIES: Final = ("percentile", "percent", "age", "speed")
SPARE: Final = 6
"""Colours that all other names share."""


def kind_class(kind: str) -> str:
    """CSS class of a kind: one of ours whatever the kind's text is."""
    if kind in KINDS:
        return f"k-{kind.lower()}"
    return "k-other" if kind == OTHER else _spare(kind)


def policy_class(policy: str) -> str:
    """CSS class of a policy."""
    return f"p-{policy}" if policy in POLICIES else _spare(policy)


def stacked(kinds: Iterable[str]) -> list[str]:
    """Kinds from the bottom of a chart to its top: a fixed order, so that a refresh never swaps two colours."""
    return sorted(kinds, key=lambda kind: (kind == OTHER, KINDS.index(kind) if kind in KINDS else len(KINDS), kind))


def named(kinds: Iterable[str]) -> list[dict[str, str]]:
    """Kinds as a chart needs them, from its bottom to its top."""
    return [{"name": kind, "css": kind_class(kind)} for kind in stacked(kinds)]


def totals_by_kind(summary: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Own time and calls of each kind of a trace, most time first.

    Args:
        summary: rows of the trace's JSON (Any: texts and numbers).
    """
    totals: dict[str, dict[str, Any]] = {}
    for row in summary:
        total = totals.setdefault(row["kind"], {"kind": row["kind"], "exclusive_ms": 0.0, "count": 0})
        total["exclusive_ms"] += row["exclusive_ms"]
        total["count"] += row["count"]
    return sorted(totals.values(), key=lambda total: -float(total["exclusive_ms"]))


def _spare(name: str) -> str:
    return f"x-{crc32(name.encode('utf-8', 'surrogatepass')) % SPARE}"
