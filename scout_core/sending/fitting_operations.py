"""Figures of operations that fit into a report: those with the most time; the rest of each kind is counted as its ``other``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scout_core.measuring.metrics import MAX_KINDS
from scout_core.measuring.report import OperationMetrics
from scout_core.operations import OTHER, OTHER_NAME, counted_under, kind_of
from scout_core.sending.fitting_rest import fit_with_rest

SizeOf = Callable[[OperationMetrics], int]


def fit_operations(operations: Sequence[OperationMetrics], room: int, size_of: SizeOf) -> tuple[OperationMetrics, ...]:
    """Return the operations, with those that do not fit summed by kind, the ones with the least time first."""
    return fit_with_rest(
        operations, room, size_of, is_rest=_is_other, weight=lambda figures: figures.total, sums_of=_by_kind
    )


def _is_other(figures: OperationMetrics) -> bool:
    return figures.operation == f"{kind_of(figures.operation)}/{OTHER_NAME}"


def _by_kind(operations: Sequence[OperationMetrics]) -> tuple[OperationMetrics, ...]:
    kinds: dict[str, list[OperationMetrics]] = {}
    for figures in operations:
        kinds.setdefault(counted_under(kind_of(figures.operation), kinds, MAX_KINDS, OTHER), []).append(figures)
    return tuple(OperationMetrics.sum_of(f"{kind}/{OTHER_NAME}", group) for kind, group in kinds.items())
