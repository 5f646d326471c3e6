"""The figures of too many names or queues are counted under ``other``, so that no transaction is missing from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import nlargest
from typing import Final

from attrs import evolve

from scout_core.measuring.report import QueueMetrics, TransactionMetrics
from scout_core.operations import CONTROLLER, JOB, OTHER_NAME, is_web
from scout_dashboard.caps.cutting import Cutter
from scout_dashboard.store.queue_sums import QueueSums, queue_sums_of

MAX_NAMES: Final = 1_000
"""Names of transactions with figures of their own; a name costs the writer about 0.06 ms."""
MAX_QUEUES: Final = 2_000
"""Pairs of a job and a queue with figures of their own."""

Figures = tuple[TransactionMetrics, ...]


def few_names(transactions: Figures, cutter: Cutter) -> Figures:
    """Return the figures with the names of those with the least total time changed to ``other``."""
    if len(transactions) <= MAX_NAMES:
        return transactions
    cutter.count("names", MAX_NAMES, len(transactions) - MAX_NAMES)
    kept = {id(metrics) for metrics in nlargest(MAX_NAMES, transactions, key=lambda metrics: metrics.total)}
    return tuple(metrics if id(metrics) in kept else _nameless(metrics) for metrics in transactions)


def few_queues(transactions: Figures, cutter: Cutter) -> Figures:
    """Return the figures with the queues with the fewest jobs summed up as ``other``, for each name."""
    counts = {
        (number, queue): figures.count
        for number, metrics in enumerate(transactions)
        for queue, figures in metrics.queues.items()
    }
    if len(counts) <= MAX_QUEUES:
        return transactions
    cutter.count("queues of jobs", MAX_QUEUES, len(counts) - MAX_QUEUES)
    kept = set(nlargest(MAX_QUEUES, counts, key=counts.__getitem__))
    return tuple(
        evolve(metrics, queues=_summed(metrics.queues, {queue for queue in metrics.queues if (number, queue) in kept}))
        for number, metrics in enumerate(transactions)
    )


def _nameless(metrics: TransactionMetrics) -> TransactionMetrics:
    return evolve(metrics, name=f"{CONTROLLER if is_web(metrics.name) else JOB}/{OTHER_NAME}")


def _summed(queues: Mapping[str, QueueMetrics], kept: Collection[str]) -> dict[str, QueueMetrics]:
    found = {queue: figures for queue, figures in queues.items() if queue in kept and queue != OTHER_NAME}
    if len(found) == len(queues):
        return found
    others = QueueSums()
    for queue, figures in queues.items():
        if queue not in found:
            others.add(queue_sums_of(figures))
    found[OTHER_NAME] = QueueMetrics(
        count=others.count,
        errors=others.errors,
        total=others.total,
        durations=others.durations,
        queue_time=others.queue_time,
        waits=others.waits,
        outcomes=others.outcomes,
    )
    return found
