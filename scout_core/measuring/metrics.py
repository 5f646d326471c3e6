"""Aggregates of every transaction of a period, by name and by kind of span, whether its trace is kept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.measuring.histogram import Histogram, bucket_of
from scout_core.measuring.queues import MAX_QUEUES, QueueFigures, facts_of
from scout_core.operations import OTHER, counted_under, kind_of

if TYPE_CHECKING:
    from scout_core.measuring.figures import Figures
    from scout_core.measuring.report import TransactionMetrics
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

_COUNT, _ERRORS, _TOTAL, _EXCLUSIVE = range(4)
MAX_KINDS: Final = 50
"""Kinds counted separately under one name; further ones are counted as ``Other``."""
LONGEST: Final = 1e9
"""Seconds. No duration is longer; receivers refuse a report with a number that is not finite."""
LONGEST_KIND: Final = 100
"""Characters of it that are kept."""


def clamp_seconds(seconds: float) -> float:
    """
    Return seconds as a report may have them: 0 for a negative number, which a clock that was set back produces, and for NaN.

    Raises:
        Exception: it is not a number.
    """
    return min(max(0.0, float(seconds)), LONGEST)


class NameMetrics:
    """
    All transactions of one name so far in this period.

    Args:
        has_queues: whether they are jobs, which are also counted by queue.
    """

    __slots__ = ("has_queues", "count", "errors", "total_ns", "durations", "queue_time", "queued", "kinds", "queues")

    def __init__(self, *, has_queues: bool) -> None:
        self.has_queues = has_queues
        self.count = 0
        self.errors = 0
        self.total_ns = 0
        self.durations = Histogram()
        self.queue_time = 0.0
        self.queued = 0
        self.kinds: dict[str, list[int]] = {}
        """Kind to count, errors, total and exclusive nanoseconds."""
        self.queues: dict[str, QueueFigures] = {}
        """Queue to the figures of its jobs; empty for web requests."""

    def add(self, transaction: Transaction) -> int:
        """
        Count a transaction and all its spans, or nothing at all.

        Returns:
            The bucket of its duration.

        Raises:
            Exception: an attribute that the application or a plugin has set is not of the expected type.
        """
        duration_ns = transaction.stop_ns - transaction.start_ns
        if duration_ns < 0:  # an application can set both
            duration_ns = 0
        is_error = transaction.is_error
        waited = None if transaction.queue_time is None else clamp_seconds(transaction.queue_time)
        kinds = _kinds(transaction, duration_ns, is_error)
        bucket = bucket_of(duration_ns / 1e9)
        job = facts_of(transaction) if self.has_queues else None
        # Nothing below raises: figures with half a transaction in them would never add up again.
        self.count += 1
        self.errors += is_error
        self.total_ns += duration_ns
        self.durations.add_to(bucket)
        if waited is not None:
            self.queue_time += waited
            self.queued += 1
        for kind, (count, errors, total_ns, exclusive_ns) in kinds.items():
            sums = self.kinds.get(kind) or self._sums_of(kind)
            sums[_COUNT] += count
            sums[_ERRORS] += errors
            sums[_TOTAL] += total_ns
            sums[_EXCLUSIVE] += exclusive_ns
        if job is not None:
            queue, outcome = job
            figures = self.queues.get(queue) or self._figures_of(queue)
            figures.add(bucket, duration_ns, is_error=is_error, waited=waited, outcome=outcome)
        return bucket

    def _figures_of(self, queue: str) -> QueueFigures:
        return self.queues.setdefault(counted_under(queue, self.queues, MAX_QUEUES), QueueFigures())

    def _sums_of(self, kind: str) -> list[int]:
        short = counted_under(kind, self.kinds, MAX_KINDS, OTHER)[:LONGEST_KIND]
        return self.kinds.setdefault(short, [0, 0, 0, 0])

    def add_figures(self, kind: str, figures: Figures) -> None:
        """Count transactions of which no spans are known: all of their time is their own."""
        self.count += figures.count
        self.errors += figures.errors
        self.total_ns += figures.total_ns
        self.durations.merge(figures.durations)
        sums = self._sums_of(kind)
        sums[_COUNT] += figures.count
        sums[_ERRORS] += figures.errors
        sums[_TOTAL] += figures.total_ns
        sums[_EXCLUSIVE] += max(figures.total_ns, 0)

    def freeze(self, name: str) -> TransactionMetrics:
        """As it goes into the report."""
        from scout_core.measuring.report import KindMetrics, TransactionMetrics  # with the first report

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
            queues={queue: figures.freeze() for queue, figures in self.queues.items()},
        )


def _kinds(transaction: Transaction, duration_ns: int, is_error: bool) -> dict[str, list[int]]:
    """Return kind to count, errors, total and exclusive nanoseconds of all spans of a transaction, itself included."""
    if not transaction.spans and not transaction.merged:  # most requests of a fast application
        return {transaction.kind: [1, is_error, duration_ns, max(duration_ns, 0)]}
    figures: dict[str, list[int]] = {}
    in_children = _time_in_children(transaction)
    pauses = [] if not hasattr(transaction, "own_pauses") else _take_out_pauses(transaction, in_children)
    own_ns = duration_ns - in_children.pop(id(transaction), 0)
    for span in transaction.spans:
        exclusive_ns = total_ns = span.stop_ns - span.start_ns
        if in_children:
            exclusive_ns -= in_children.pop(id(span), 0)
        # As _add, whose call would be a third of the cost of a span.
        kind = span.operation.partition("/")[0]
        sums = figures.get(kind)
        if sums is None:
            sums = figures[kind] = [0, 0, 0, 0]
        sums[_COUNT] += 1
        if total_ns > 0:
            sums[_TOTAL] += total_ns
            if exclusive_ns > 0:
                sums[_EXCLUSIVE] += exclusive_ns
        if span.error is not None:
            sums[_ERRORS] += 1
    for kind, paused_ns in pauses:
        figures[kind][_TOTAL] -= paused_ns
    if transaction.merged:
        in_merged = _by_operation(transaction, in_children)
        for operation, (count, total_ns, exclusive_ns, errors) in transaction.merged.items():
            own_ns -= exclusive_ns
            own = exclusive_ns - in_merged.get(operation, 0)
            _add(figures, operation, count=count, errors=errors, total_ns=total_ns, exclusive_ns=own)
    _add(figures, transaction.operation, count=1, errors=is_error, total_ns=duration_ns, exclusive_ns=own_ns)
    return figures


def _add(
    figures: dict[str, list[int]], operation: str, *, count: int, errors: int, total_ns: int, exclusive_ns: int
) -> None:
    sums = figures.setdefault(kind_of(operation), [0, 0, 0, 0])
    sums[_COUNT] += count
    sums[_ERRORS] += errors
    sums[_TOTAL] += max(total_ns, 0)
    sums[_EXCLUSIVE] += max(exclusive_ns, 0)


def _time_in_children(transaction: Transaction) -> dict[int, int]:
    """``id`` of a span, or of the transaction, to the nanoseconds spent in its children; parallel ones add up to more than it took."""
    found: dict[int, int] = {}
    skipped: dict[int, Span | None] = {}
    last_ns = transaction.stop_ns
    for span in transaction.spans:
        parent = span.own_parent
        if parent is not None and span.stop_ns <= parent.stop_ns <= last_ns:
            key = id(parent)
            found[key] = found.get(key, 0) + span.stop_ns - span.start_ns
        else:
            _share_among_ancestors(span, transaction, found, skipped)
    return found


def _take_out_pauses(transaction: Transaction, in_children: dict[int, int]) -> list[tuple[str, int]]:
    """
    Count the pauses of spans as if they were spent in children, and not in the children of those around them.

    Args:
        in_children: as of ``_time_in_children``.

    Returns:
        Kind and nanoseconds of each span that has paused.
    """
    found = []
    listed = set(map(id, transaction.spans))
    for number, (span, paused_ns) in transaction.own_pauses.items():
        paused_ns = min(paused_ns, span.stop_ns - span.start_ns)
        if number not in listed or paused_ns <= 0:
            continue
        in_children[number] = in_children.get(number, 0) + paused_ns
        around = _nearest_ended(span.own_parent, transaction, {})
        if around is not None and id(around) in in_children:
            in_children[id(around)] = max(in_children[id(around)] - paused_ns, 0)
        found.append((span.operation.partition("/")[0], paused_ns))
    return found


def _share_among_ancestors(
    span: Span, transaction: Transaction, found: dict[int, int], skipped: dict[int, Span | None]
) -> None:
    """
    The rest of a span's time, after its parent has ended, lies within the nearest ancestor that was still open.

    Ancestors that never ended, or ended after the transaction, are in no figure and so are passed over.
    """
    begin_ns = span.start_ns
    ancestor = _nearest_ended(span.own_parent, transaction, skipped)
    while ancestor is not None and begin_ns < span.stop_ns:
        if begin_ns < ancestor.stop_ns:
            end_ns = min(ancestor.stop_ns, span.stop_ns)
            found[id(ancestor)] = found.get(id(ancestor), 0) + end_ns - begin_ns
            begin_ns = end_ns
        ancestor = _nearest_ended(ancestor.own_parent, transaction, skipped)


def _nearest_ended(span: Span | None, transaction: Transaction, skipped: dict[int, Span | None]) -> Span | None:
    """Return the span, or its nearest ancestor, that ended within the transaction; ``skipped`` has the answers for the others."""
    passed = []
    while span is not None and not 0 < span.stop_ns <= transaction.stop_ns:
        if id(span) in skipped:
            span = skipped[id(span)]
            break
        passed.append(id(span))
        span = span.own_parent
    skipped.update(dict.fromkeys(passed, span))
    return span


def _by_operation(transaction: Transaction, in_children: dict[int, int]) -> dict[str, int]:
    """
    Return the operation of each merged span to the time spent in its recorded descendants.

    ``in_children`` holds only those by now: the entries of recorded parents have been removed.
    """
    found: dict[str, int] = {}
    visited: set[int] = set()
    for span in transaction.spans:
        ancestor = span.own_parent
        while ancestor is not None and id(ancestor) not in visited:  # then all above it were, too
            visited.add(id(ancestor))
            spent_ns = in_children.pop(id(ancestor), 0)
            if spent_ns:
                found[ancestor.operation] = found.get(ancestor.operation, 0) + spent_ns
            ancestor = ancestor.own_parent
    return found
