"""The limits of the groups of errors of one report: those beyond are counted under ``other``, so that no error is missing."""

from __future__ import annotations

import sys
from typing import Final

from attrs import evolve

from scout_core.measuring.report import ErrorExample, ErrorGroupMetrics
from scout_core.operations import OTHER_NAME
from scout_dashboard.caps.cutting import Cutter
from scout_dashboard.caps.traces import error_within

MAX_GROUPS: Final = 500
"""Groups with figures of their own."""

Groups = tuple[ErrorGroupMetrics, ...]


def few_groups(groups: Groups, cutter: Cutter) -> Groups:
    """Return the groups with the most errors, and the sum of the others as ``other``."""
    if len(groups) > MAX_GROUPS:
        cutter.count("groups of errors", MAX_GROUPS, len(groups) - MAX_GROUPS)
        listed = sorted(groups, key=lambda group: (group.group == OTHER_NAME, -group.count))
        groups = (*listed[:MAX_GROUPS], ErrorGroupMetrics.sum_of(listed[MAX_GROUPS:], most=sys.maxsize))
    return tuple(_group(group, cutter) for group in groups)


def _group(group: ErrorGroupMetrics, cutter: Cutter) -> ErrorGroupMetrics:
    return evolve(
        group,
        endpoints=cutter.summed(group.endpoints, "transactions of a group of errors"),
        example=None if group.example is None else _example(group.example, cutter),
    )


def _example(example: ErrorExample, cutter: Cutter) -> ErrorExample:
    return evolve(example, error=error_within(example.error, cutter), tags=cutter.some(example.tags, "tags"))
