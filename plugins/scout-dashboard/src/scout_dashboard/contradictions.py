"""Figures of a report that cannot all be true: no agent sends them, and no page could show what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from scout_core.measuring.histogram import Histogram, value_of
from scout_core.measuring.report import (
    ErrorGroupMetrics,
    FunctionStatus,
    KindMetrics,
    OperationMetrics,
    QueueMetrics,
    Trace,
    TransactionMetrics,
)

_TOLERANCE: Final = 0.02
"""A histogram is accurate to 1 %."""
_SHORTEST: Final = 2e-7
"""Seconds. Shorter durations are in the histogram as 1e-7."""
_value_of: Final = lru_cache(maxsize=10_001)(value_of)
"""For all buckets that the wire format allows; computed each time, they take a quarter of the time of these checks."""
_SHARES: Final = ("share", "quantile")
"""Figures of a trace from 0 to 1."""


def in_figures(metrics: TransactionMetrics) -> Iterator[str]:
    """Yield the contradictions in the figures of one name."""
    where = f"transactions of {metrics.name[:100]!r}"
    yield from _in_sum(where, metrics, metrics.total, metrics.durations)
    if metrics.queued > metrics.count:
        yield f"{where}: {metrics.queued} queue times of {metrics.count}"
    if metrics.queue_time and not metrics.queued:
        yield f"{where}: {metrics.queue_time} s in queues, but no transaction with a queue time"
    for name, kind in metrics.kinds.items():
        yield from _in_sum(f"{where}: spans of kind {name[:100]!r}", kind, max(kind.total, kind.exclusive))
    for name, queue in metrics.queues.items():
        yield from _in_queue(f"{where}: queue {name[:100]!r}", queue)
    whole = metrics.queues.values()
    if sum(queue.count for queue in whole) > metrics.count:
        yield f"{where}: {metrics.count} transactions, but more in its queues"
    if sum(queue.errors for queue in whole) > metrics.errors:
        yield f"{where}: {metrics.errors} errors, but more in its queues"


def in_trace(trace: Trace) -> Iterator[str]:
    """Yield the contradictions in a trace."""
    where = f"trace {trace.id[:40]!r}"
    for name, figure in trace.seen.items():
        if figure < 0 or (name in _SHARES and figure > 1):
            yield f"{where}: {name[:100]!r} cannot be {figure}"
    if any(seconds and not count for count, seconds in trace.merged.values()):
        yield f"{where}: seconds of merged spans, but none counted"


def in_functions(functions: Iterable[FunctionStatus]) -> Iterator[str]:
    """
    Yield the contradictions in the functions of a plugin.

    Calls are counted and timed on other threads while the report is made, so errors may exceed calls, and a median its 95th percentile.
    """
    for function in functions:
        where = f"function {function.place[:100]!r}"
        slow, errors = function.too_slow, function.too_many_errors
        if slow is not None and (not 0 <= slow.quantile <= 1 or slow.timed > slow.window):
            yield f"{where}: quantile {slow.quantile} of {slow.timed} calls in a window of {slow.window}"
        if errors is not None and errors.errors > errors.calls:
            yield f"{where}: {errors.errors} errors in {errors.calls} calls"


def in_group(group: ErrorGroupMetrics) -> Iterator[str]:
    """Yield the contradictions in the figures of a group of errors."""
    where = f"errors {group.group[:100]!r}"
    if group.handled > group.count:
        yield f"{where}: {group.handled} handled of {group.count}"
    if sum(group.endpoints.values()) > group.count:
        yield f"{where}: {group.count} errors, but more in its endpoints"
    if group.first > group.last:
        yield f"{where}: the first one came after the last one"


def in_operation(figures: OperationMetrics) -> Iterator[str]:
    """
    Yield the contradictions in the figures of an operation.

    Calls beyond the limit of a transaction have no duration, and a line may count those of another one that repeats the same call.
    """
    where = f"operation {figures.operation[:100]!r}"
    timed = figures.durations.count
    yield from _in_sum(where, figures, figures.total, figures.durations if timed == figures.count else None)
    if timed > figures.count:
        yield f"{where}: {figures.count} counted, but {timed} durations"
    elif timed < figures.count and figures.total < (about := _seconds_of(figures.durations)) - _tolerance(about, timed):
        yield f"{where}: {figures.total:g} s in total, but durations of {about:g} s"
    shares = figures.endpoints.values()
    if sum(share.count for share in shares) > figures.count:
        yield f"{where}: {figures.count} counted, but more in its transactions"
    if (seconds := sum(share.total for share in shares)) > figures.total + _tolerance(figures.total, figures.count):
        yield f"{where}: {figures.total:g} s in total, but {seconds:g} s in its transactions"


def _in_queue(where: str, queue: QueueMetrics) -> Iterator[str]:
    yield from _in_sum(where, queue, queue.total, queue.durations)
    if max(queue.waits.count, sum(queue.outcomes.values())) > queue.count:
        yield f"{where}: {queue.count} jobs, but more waits or outcomes"
    yield from _in_histogram(f"{where}: waits", queue.queue_time, queue.waits)


def _in_sum(
    where: str,
    figures: TransactionMetrics | KindMetrics | QueueMetrics | OperationMetrics,
    seconds: float,
    durations: Histogram | None = None,
) -> Iterator[str]:
    if figures.errors > figures.count:
        yield f"{where}: {figures.errors} errors of {figures.count}"
    if seconds and not figures.count:
        yield f"{where}: {seconds} s, but nothing counted"
    if durations is None:
        return
    if durations.count != figures.count:
        yield f"{where}: {figures.count} counted, but {durations.count} durations"
    else:
        yield from _in_histogram(where, seconds, durations)


def _in_histogram(where: str, seconds: float, durations: Histogram) -> Iterator[str]:
    about = _seconds_of(durations)
    if not abs(seconds - about) <= _tolerance(about, durations.count):
        yield f"{where}: {seconds:g} s in total, but durations of {about:g} s"


def _seconds_of(durations: Histogram) -> float:
    return sum(_value_of(bucket) * count for bucket, count in durations.buckets.items())


def _tolerance(seconds: float, count: int) -> float:
    return _TOLERANCE * seconds + _SHORTEST * count
