"""
Reports that a receiver accepts: the figures first, then plugins, traces by score and examples of errors while there is room; the rest
is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from attrs import evolve

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.metrics import MAX_KINDS
from scout_core.measuring.queues import MAX_OUTCOMES, MAX_QUEUES
from scout_core.measuring.report import (
    ErrorGroupMetrics,
    KindMetrics,
    OperationMetrics,
    PluginStatus,
    QueueMetrics,
    Report,
    Trace,
    TransactionMetrics,
)
from scout_core.operations import CONTROLLER, JOB, OTHER, OTHER_NAME, counted_under, is_web
from scout_core.sending.fitting_errors import count_examples, fit_examples, fit_groups
from scout_core.sending.fitting_operations import fit_operations
from scout_core.sending.fitting_rest import fit_with_rest

Part = Report | TransactionMetrics | PluginStatus | Trace | ErrorGroupMetrics | OperationMetrics
SizeOf = Callable[[Part], int]
"""Bytes of a part, with what separates it from the next one."""
_P = TypeVar("_P", PluginStatus, Trace)

NAMES, PLUGINS, TRACES, GROUPS, EXAMPLES, OPERATIONS = (
    "names", "plugins", "traces", "error groups", "examples", "operations",
)  # fmt: skip
_FOR_COUNTS: Final = 100
"""Bytes for ``left_out``."""


def fit(report: Report, most: int, size_of: SizeOf) -> Report:
    """
    Return the report with as much of it as fits, and with ``left_out`` increased by the rest.

    Names whose figures do not fit are counted under ``other``, those with the least total time first, and so are groups of errors,
    those with the fewest first, and operations, which take at most half of the room that names and groups leave. So nothing is
    missing from the figures. They and the counters stay even when there is no room for them: then the result is larger.

    Args:
        most: bytes that it may have.
    """
    bare = evolve(report, transactions=(), plugins=(), traces=(), error_groups=(), operations=())
    room = most - _FOR_COUNTS - size_of(bare)
    figures = _figures(report.transactions, room, size_of)
    room -= sum(map(size_of, figures))
    groups = fit_groups(report.error_groups, room, size_of)
    room -= sum(map(size_of, groups))
    operations = fit_operations(report.operations, room // 2, size_of)
    room -= sum(map(size_of, operations))
    plugins, room = _while_there_is_room(report.plugins, room, size_of)
    by_score = sorted(report.traces, key=lambda trace: -trace.score)
    best, room = _while_there_is_room(by_score, room, size_of)
    kept = {id(trace) for trace in best}
    with_examples = fit_examples(groups, report.error_groups, room, size_of)
    left_out = {
        NAMES: len(report.transactions) - len(figures),
        PLUGINS: len(report.plugins) - len(plugins),
        TRACES: len(report.traces) - len(best),
        GROUPS: len(report.error_groups) - len(groups),
        OPERATIONS: len(report.operations) - len(operations),
        EXAMPLES: count_examples(report.error_groups) - count_examples(with_examples),
    }
    return evolve(
        report,
        transactions=figures,
        plugins=tuple(plugins),
        error_groups=with_examples,
        operations=operations,
        traces=tuple(trace for trace in report.traces if id(trace) in kept),
        left_out=add_counts(report.left_out, left_out),
    )


def add_counts(counts: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    """Return the sums, without those that are 0."""
    sums = {kind: counts.get(kind, 0) + more.get(kind, 0) for kind in (*counts, *more)}
    return {kind: count for kind, count in sums.items() if count > 0}


def _while_there_is_room(parts: Iterable[_P], room: int, size_of: SizeOf) -> tuple[list[_P], int]:
    """Return the parts that fit, and the room that is left; one that is too large does not keep a smaller one from its place."""
    found = []
    for part in parts:
        size = size_of(part)
        if size <= room:
            found.append(part)
            room -= size
    return found, room


def _figures(given: tuple[TransactionMetrics, ...], room: int, size_of: SizeOf) -> tuple[TransactionMetrics, ...]:
    return fit_with_rest(given, room, size_of, is_rest=_is_other, weight=lambda metrics: metrics.total, sums_of=_sums)


def _is_other(metrics: TransactionMetrics) -> bool:
    return metrics.name.partition("/")[2] == OTHER_NAME


def _sums(names: Sequence[TransactionMetrics]) -> tuple[TransactionMetrics, ...]:
    groups: dict[str, list[TransactionMetrics]] = {}
    for metrics in names:
        groups.setdefault(f"{CONTROLLER if is_web(metrics.name) else JOB}/{OTHER_NAME}", []).append(metrics)
    return tuple(_sum(other, group) for other, group in groups.items())


def _sum(name: str, group: list[TransactionMetrics]) -> TransactionMetrics:
    durations = Histogram()
    kinds: dict[str, KindMetrics] = {}
    queues: dict[str, list[QueueMetrics]] = {}
    for metrics in group:
        durations.merge(metrics.durations)
        for kind, figures in metrics.kinds.items():
            key = counted_under(kind, kinds, MAX_KINDS, OTHER)
            kinds[key] = _sum_of_kinds(kinds.get(key, _NOTHING), figures)
        for queue, of_queue in metrics.queues.items():
            queues.setdefault(counted_under(queue, queues, MAX_QUEUES), []).append(of_queue)
    return TransactionMetrics(
        name=name,
        count=sum(metrics.count for metrics in group),
        errors=sum(metrics.errors for metrics in group),
        total=sum(metrics.total for metrics in group),
        durations=durations,
        queue_time=sum(metrics.queue_time for metrics in group),
        queued=sum(metrics.queued for metrics in group),
        kinds=kinds,
        queues={queue: _sum_of_queues(figures) for queue, figures in queues.items()},
    )


def _sum_of_queues(group: list[QueueMetrics]) -> QueueMetrics:
    durations, waits = Histogram(), Histogram()
    outcomes: dict[str, int] = {}
    for figures in group:
        durations.merge(figures.durations)
        waits.merge(figures.waits)
        for outcome, count in figures.outcomes.items():
            key = counted_under(outcome, outcomes, MAX_OUTCOMES)
            outcomes[key] = outcomes.get(key, 0) + count
    return QueueMetrics(
        count=sum(figures.count for figures in group),
        errors=sum(figures.errors for figures in group),
        total=sum(figures.total for figures in group),
        durations=durations,
        queue_time=sum(figures.queue_time for figures in group),
        waits=waits,
        outcomes=outcomes,
    )


_NOTHING: Final = KindMetrics(count=0, errors=0, total=0.0, exclusive=0.0)


def _sum_of_kinds(first: KindMetrics, second: KindMetrics) -> KindMetrics:
    return KindMetrics(
        count=first.count + second.count,
        errors=first.errors + second.errors,
        total=first.total + second.total,
        exclusive=first.exclusive + second.exclusive,
    )
