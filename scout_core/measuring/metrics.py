"""Aggregates of every transaction of a period, by name and by kind of span, whether its trace is kept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import KindMetrics, TransactionMetrics

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

_COUNT, _ERRORS, _TOTAL, _EXCLUSIVE = range(4)
MAX_KINDS: Final = 50
"""Kinds told apart under one name; further ones are counted as ``Other``."""
LONGEST_KIND: Final = 100
"""Characters of it that are kept."""


class NameMetrics:
    """All transactions of one name so far in this period."""

    __slots__ = ("count", "errors", "total_ns", "durations", "queue_time", "queued", "kinds")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.total_ns = 0
        self.durations = Histogram()
        self.queue_time = 0.0
        self.queued = 0
        self.kinds: dict[str, list[int]] = {}
        """Kind to count, errors, total and exclusive nanoseconds."""

    def add(self, transaction: Transaction) -> None:
        """Count a transaction and all spans of it."""
        duration_ns = transaction.stop_ns - transaction.start_ns
        self.count += 1
        self.errors += transaction.is_error
        self.total_ns += duration_ns
        self.durations.add(duration_ns / 1e9)
        if transaction.queue_time is not None:
            self.queue_time += transaction.queue_time
            self.queued += 1
        self._add_spans(transaction, duration_ns)

    def _add_spans(self, transaction: Transaction, duration_ns: int) -> None:
        in_children = _time_in_children(transaction)
        own_ns = duration_ns - in_children.pop(id(transaction), 0)
        for span in transaction.spans:
            took_ns = span.stop_ns - span.start_ns
            own = took_ns - in_children.pop(id(span), 0)
            self._add(span.operation, errors=span.error is not None, total_ns=took_ns, exclusive_ns=own)
        if transaction.merged:
            in_merged = _by_operation(transaction, in_children)
            for operation, (count, total_ns, exclusive_ns, errors) in transaction.merged.items():
                own_ns -= exclusive_ns
                own = exclusive_ns - in_merged.get(operation, 0)
                self._add(operation, count=count, errors=errors, total_ns=total_ns, exclusive_ns=own)
        self._add(transaction.operation, errors=transaction.is_error, total_ns=duration_ns, exclusive_ns=own_ns)

    def _add(self, operation: str, *, count: int = 1, errors: int, total_ns: int, exclusive_ns: int) -> None:
        kind = operation.partition("/")[0]
        figures = self.kinds.get(kind)
        if figures is None:
            kind = kind[:LONGEST_KIND] if len(self.kinds) < MAX_KINDS else "Other"
            figures = self.kinds.setdefault(kind, [0, 0, 0, 0])
        figures[_COUNT] += count
        figures[_ERRORS] += errors
        figures[_TOTAL] += total_ns
        figures[_EXCLUSIVE] += exclusive_ns if exclusive_ns > 0 else 0

    def freeze(self, name: str) -> TransactionMetrics:
        """As it goes into the report."""
        return TransactionMetrics(
            name=name,
            count=self.count,
            errors=self.errors,
            total=self.total_ns / 1e9,
            durations=self.durations,
            queue_time=self.queue_time,
            queued=self.queued,
            kinds={
                kind: KindMetrics(count=count, errors=errors, total=total / 1e9, exclusive=exclusive / 1e9)
                for kind, (count, errors, total, exclusive) in self.kinds.items()
            },
        )


def _time_in_children(transaction: Transaction) -> dict[int, int]:
    """``id`` of a span, or of the transaction, to the nanoseconds spent in its children; parallel ones add up to more than it took."""
    found: dict[int, int] = {}
    last_ns = transaction.stop_ns
    for span in transaction.spans:
        parent = span.parent
        if parent is not None and span.stop_ns <= parent.stop_ns <= last_ns:
            key = id(parent)
            found[key] = found.get(key, 0) + span.stop_ns - span.start_ns
        else:
            _share_among_ancestors(span, transaction, found)
    return found


def _share_among_ancestors(span: Span, transaction: Transaction, found: dict[int, int]) -> None:
    """
    Where a span went on when its parent had ended, the rest of its time lies within the nearest ancestor that was still open.

    Ancestors that never ended, or ended after the transaction, are in no figure and so are passed over.
    """
    begin_ns = span.start_ns
    ancestor = span.parent
    while ancestor is not None and begin_ns < span.stop_ns:
        if begin_ns < ancestor.stop_ns <= transaction.stop_ns:
            end_ns = min(ancestor.stop_ns, span.stop_ns)
            found[id(ancestor)] = found.get(id(ancestor), 0) + end_ns - begin_ns
            begin_ns = end_ns
        ancestor = ancestor.parent


def _by_operation(transaction: Transaction, in_children: dict[int, int]) -> dict[str, int]:
    """What is left are listed spans whose ancestor was merged: operation of that ancestor to the time spent in them."""
    found: dict[str, int] = {}
    for span in transaction.spans:
        ancestor = span.parent
        while ancestor is not None:
            spent_ns = in_children.pop(id(ancestor), 0)
            found[ancestor.operation] = found.get(ancestor.operation, 0) + spent_ns
            ancestor = ancestor.parent
    return found
