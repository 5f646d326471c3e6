"""The limits of the operations of one report: those beyond are counted as the ``other`` of their kind, so that no call is missing."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from scout_core.measuring.operation_report import MOST_ENDPOINTS, sum_of_shares
from scout_core.measuring.report import OperationMetrics
from scout_core.operations import OTHER, OTHER_NAME, kind_of
from scout_dashboard.caps.cutting import MAX_ITEMS, Cutter
from scout_dashboard.caps.texts import LONGEST_NAME
from scout_dashboard.store.operation_sums import MOST_LINES

MAX_OPERATIONS: Final = 500
"""Operations with figures of their own."""
LONGEST_DETAIL: Final = 2_000
"""Characters of a statement, a host or the name of a template."""

Operations = tuple[OperationMetrics, ...]


def few_operations(operations: Operations, cutter: Cutter) -> Operations:
    """Return the operations with the most time, and the sums of the others of each kind as ``Kind/other``."""
    own = [figures for figures in operations if not _is_other(figures)]
    others = [figures for figures in operations if _is_other(figures)]
    if len(own) > MAX_OPERATIONS:
        cutter.count("operations", MAX_OPERATIONS, len(own) - MAX_OPERATIONS)
        own.sort(key=lambda figures: -figures.total)
        others += own[MAX_OPERATIONS:]
        del own[MAX_OPERATIONS:]
    elif len(others) <= MAX_ITEMS:
        return tuple(_operation(figures, cutter) for figures in operations)
    return tuple(_operation(figures, cutter) for figures in (*own, *_by_kind(others, cutter)))


def _by_kind(others: list[OperationMetrics], cutter: Cutter) -> Operations:
    kinds: dict[str, list[OperationMetrics]] = {}
    for figures in others:
        kinds.setdefault(kind_of(figures.operation), []).append(figures)
    if len(kinds) > MAX_ITEMS:
        cutter.count("kinds of operations", MAX_ITEMS, len(kinds) - MAX_ITEMS)
        for kind in [kind for kind in kinds if kind != OTHER][MAX_ITEMS:]:
            kinds.setdefault(OTHER, []).extend(kinds.pop(kind))
    return tuple(OperationMetrics.sum_of(f"{kind}/{OTHER_NAME}", figures) for kind, figures in kinds.items())


def _is_other(figures: OperationMetrics) -> bool:
    return figures.operation == f"{kind_of(figures.operation)}/{OTHER_NAME}" and not figures.detail


def _operation(figures: OperationMetrics, cutter: Cutter) -> OperationMetrics:
    endpoints = figures.endpoints
    names = len(endpoints) - (OTHER_NAME in endpoints)
    if names > MOST_ENDPOINTS:
        cutter.count("transactions of an operation", MOST_ENDPOINTS, names - MOST_ENDPOINTS)
        endpoints = sum_of_shares([endpoints])
    lines = cutter.first(figures.lines, "lines of an operation", MOST_LINES)
    name, detail = cutter.text(figures.operation, LONGEST_NAME), cutter.text(figures.detail, LONGEST_DETAIL)
    return evolve(figures, operation=name, detail=detail, endpoints=endpoints, lines=lines)
