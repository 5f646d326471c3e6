"""Aggregates of every transaction of a period, by name and by kind of span, whether its trace is kept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import KindMetrics, TransactionMetrics
from scout_core.operations import OTHER

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
        """
        Count a transaction and all spans of it, or nothing at all.

        Raises:
            Exception: whatever an attribute raises that the application, or a plugin, has set to something of its own.
        """
        duration_ns = transaction.stop_ns - transaction.start_ns
        is_error = transaction.is_error
        waited = None if transaction.queue_time is None else float(transaction.queue_time)
        kinds = _kinds(transaction, duration_ns, is_error)
        # Nothing below raises: figures that hold half a transaction would never add up again.
        self.count += 1
        self.errors += is_error
        self.total_ns += duration_ns
        self.durations.add(duration_ns / 1e9)
        if waited is not None:
            self.queue_time += waited
            self.queued += 1
        for kind, figures in kinds.items():
            sums = self.kinds.get(kind)
            if sums is None:
                short = kind[:LONGEST_KIND] if len(self.kinds) < MAX_KINDS else OTHER
                sums = self.kinds.setdefault(short, [0, 0, 0, 0])
            for place, figure in enumerate(figures):
                sums[place] += figure

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


def _kinds(transaction: Transaction, duration_ns: int, is_error: bool) -> dict[str, list[int]]:
    """Kind to count, errors, total and exclusive nanoseconds of all spans of one transaction, itself included."""
    found: dict[str, list[int]] = {}
    in_children = _time_in_children(transaction)
    own_ns = duration_ns - in_children.pop(id(transaction), 0)
    for span in transaction.spans:
        took_ns = span.stop_ns - span.start_ns
        own = took_ns - in_children.pop(id(span), 0)
        _add(found, span.operation, errors=span.error is not None, total_ns=took_ns, exclusive_ns=own)
    if transaction.merged:
        in_merged = _by_operation(transaction, in_children)
        for operation, (count, total_ns, exclusive_ns, errors) in transaction.merged.items():
            own_ns -= exclusive_ns
            own = exclusive_ns - in_merged.get(operation, 0)
            _add(found, operation, count=count, errors=errors, total_ns=total_ns, exclusive_ns=own)
    _add(found, transaction.operation, errors=is_error, total_ns=duration_ns, exclusive_ns=own_ns)
    return found


def _add(
    found: dict[str, list[int]], operation: str, *, count: int = 1, errors: int, total_ns: int, exclusive_ns: int
) -> None:
    figures = found.setdefault(operation.partition("/")[0], [0, 0, 0, 0])
    figures[_COUNT] += count
    figures[_ERRORS] += errors
    figures[_TOTAL] += total_ns
    figures[_EXCLUSIVE] += exclusive_ns if exclusive_ns > 0 else 0


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
