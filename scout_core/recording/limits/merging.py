"""Spans beyond ``max_spans``: counted and summed by operation, not listed. Hot code, for what has so many spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.operations import OTHER, OTHER_NAME
from scout_core.recording.context import has_ended
from scout_core.recording.limits.bounding import cut_operation
from scout_core.recording.limits.bounds import LONGEST_NAME

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

MAX_MERGED: Final = 100
"""Operations counted separately; further ones are counted as ``Other/other``."""
_OTHER_OPERATION: Final = f"{OTHER}/{OTHER_NAME}"


def merge(transaction: Transaction, span: Span) -> None:
    """Add a span that has ended to the figures in ``Transaction.merged``."""
    if transaction.merged is None:
        merged: dict[str, list[int]] = {}  # before Python 3.12 this may run the collector, and so other threads
        if transaction.merged is None:
            transaction.merged = merged
    merged = transaction.merged
    if len(span.own_operation) > LONGEST_NAME:
        cut_operation(span, transaction.tracer)
    # No call between reading and writing, so CPython cannot switch threads in between: no lock is needed.
    duration = span.stop_ns - span.start_ns
    if hasattr(transaction, "own_pauses"):
        duration -= transaction.own_pauses.pop(id(span), (span, 0))[1]
    failed = span.error is not None
    figures = _figures(merged, span.own_operation)
    figures[0] += 1
    figures[1] += duration
    figures[2] += duration
    figures[3] += failed
    parent = span.own_parent
    if (
        parent is not transaction and parent is not None and not has_ended(parent)
    ):  # it ends later, so it will be merged too
        figures = _figures(merged, parent.own_operation)
        figures[2] -= duration


def _figures(merged: dict[str, list[int]], operation: str) -> list[int]:
    name = operation if operation in merged or len(merged) < MAX_MERGED else _OTHER_OPERATION
    return merged.setdefault(name, [0, 0, 0, 0])
