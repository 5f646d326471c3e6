"""Aggregates of every transaction of a period, by name and by kind of span, whether its trace is kept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import KindMetrics, TransactionMetrics

if TYPE_CHECKING:
    from scout_core.recording.transaction import Transaction

_COUNT, _ERRORS, _TOTAL, _EXCLUSIVE = range(4)
MAX_KINDS: Final = 50
"""Kinds told apart under one name; further ones are counted as ``Other``."""


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
        in_children: dict[int, int] = {}
        """``id`` of a span to the nanoseconds spent in its children; parallel children may add up to more than it took."""
        for span in transaction.spans:
            # A child ends before its parent, so its own children are known, unless it ran on in a task of its own.
            took = span.stop_ns - span.start_ns
            parent = id(span.parent)
            in_children[parent] = in_children.get(parent, 0) + took
            own = took - in_children.pop(id(span), 0)
            figures = self._of_kind(span.operation.partition("/")[0])
            figures[_COUNT] += 1
            figures[_ERRORS] += span.error is not None
            figures[_TOTAL] += took
            figures[_EXCLUSIVE] += own if own > 0 else 0
        own = duration_ns - in_children.get(id(transaction), 0)
        for operation, (count, total_ns) in (transaction.merged or {}).items():
            figures = self._of_kind(operation.partition("/")[0])
            figures[_COUNT] += count
            figures[_TOTAL] += total_ns
            figures[_EXCLUSIVE] += total_ns
            own -= total_ns
        figures = self._of_kind(transaction.kind)
        figures[_COUNT] += 1
        figures[_ERRORS] += transaction.is_error
        figures[_TOTAL] += duration_ns
        figures[_EXCLUSIVE] += own if own > 0 else 0

    def _of_kind(self, kind: str) -> list[int]:
        figures = self.kinds.get(kind)
        if figures is None:
            if len(self.kinds) >= MAX_KINDS:
                kind = "Other"
            figures = self.kinds.setdefault(kind, [0, 0, 0, 0])
        return figures

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
