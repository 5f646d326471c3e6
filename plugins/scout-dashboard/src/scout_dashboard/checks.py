"""Checks that a report must pass beyond those of the wire format, so that the store never holds impossible values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from scout_core.errors import RejectedReport
from scout_core.measuring.report import (
    CodeLine,
    EndpointShare,
    OperationMetrics,
    PluginStatus,
    Report,
    Trace,
    TransactionMetrics,
)
from scout_dashboard import contradictions

MAX_VALUE: Final = 10**9
"""Limit of any count or time in one period; keeps sums far below SQLite's largest integer."""
_MAX_ID_LENGTH: Final = 100
_MAX_SECONDS_AHEAD: Final = 86_400.0
_TRACE_ID: Final = re.compile(r"[0-9a-f]{16}")


def validate(report: Report, *, oldest: float, now: float) -> None:
    """
    Check a report.

    Args:
        oldest: start of the retention, Unix time.

    Raises:
        RejectedReport: the report is invalid; the message lists up to ten problems.
    """
    problems = list(_problems(report, oldest=oldest, now=now))
    if problems:
        raise RejectedReport("; ".join(problems[:10])[:2_000])


def _problems(report: Report, *, oldest: float, now: float) -> Iterator[str]:
    if not 0 < len(report.id) <= _MAX_ID_LENGTH or not 0 < len(report.process.instance) <= _MAX_ID_LENGTH:
        yield f"id and instance must have 1 to {_MAX_ID_LENGTH} characters"
    if report.start > report.end:
        yield "the period ends before it starts"
    if report.end < oldest:
        yield "the period is older than the retention; check the clock of the reporting machine"
    if report.end > now + _MAX_SECONDS_AHEAD:
        yield "the period is more than a day ahead of the collector's clock; check the clock of the reporting machine"
    if not _are_times([report.period or 0.0]):
        yield f"the period is negative or above {MAX_VALUE} s"
    for metrics in report.transactions:
        yield from _metrics_problems(metrics)
        yield from contradictions.in_figures(metrics)
    for trace in report.traces:
        yield from _trace_problems(trace)
        yield from contradictions.in_trace(trace)
    for plugin in report.plugins:
        yield from _plugin_problems(plugin)
        yield from contradictions.in_functions(plugin.functions)
    for group in report.error_groups:
        if max([group.count, group.handled, *group.endpoints.values()]) > MAX_VALUE:
            yield f"errors {group.group[:100]!r}: a count is above {MAX_VALUE}"
        if not group.group or "" in group.endpoints:
            yield f"errors {group.title[:100]!r}: the key or the name of a transaction is empty"
        yield from contradictions.in_group(group)
    for figures in report.operations:
        yield from _operation_problems(figures)
        yield from contradictions.in_operation(figures)


def _metrics_problems(metrics: TransactionMetrics) -> Iterator[str]:
    where = f"transactions of {metrics.name[:100]!r}"
    counts = [metrics.count, metrics.errors, metrics.queued]
    times = [metrics.total, metrics.queue_time]
    for kind in metrics.kinds.values():
        counts += [kind.count, kind.errors]
        times += [kind.total, kind.exclusive]
    for queue in metrics.queues.values():
        counts += [queue.count, queue.errors, *queue.outcomes.values()]
        times += [queue.total, queue.queue_time]
    if max(counts) > MAX_VALUE:
        yield f"{where}: a count is above {MAX_VALUE}"
    if not _are_times(times):
        yield f"{where}: a time is negative or above {MAX_VALUE} s"


def _operation_problems(figures: OperationMetrics) -> Iterator[str]:
    where = f"operation {figures.operation[:100]!r}"
    parts: list[EndpointShare | CodeLine] = [*figures.endpoints.values(), *figures.lines]
    if max([figures.count, figures.errors, *(part.count for part in parts)]) > MAX_VALUE:
        yield f"{where}: a count is above {MAX_VALUE}"
    if not _are_times([figures.total, *(part.total for part in parts)]):
        yield f"{where}: a time is negative or above {MAX_VALUE} s"
    if not figures.operation or "" in figures.endpoints:
        yield f"{where}: its name or that of a transaction is empty"


def _trace_problems(trace: Trace) -> Iterator[str]:
    where = f"trace {trace.id[:40]!r}"
    if not _TRACE_ID.fullmatch(trace.id):
        yield f"{where}: an id must have 16 hexadecimal digits"
    merged = [seconds for _, seconds in trace.merged.values()]
    if not _are_times([trace.duration, trace.queue_time or 0.0, *merged]):
        yield f"{where}: a time is negative or above {MAX_VALUE} s"
    ids = {span.id for span in trace.spans}
    if len(ids) != len(trace.spans) or min(ids, default=1) < 1:
        yield f"{where}: span ids must be unique and greater than 0"
    if not _are_times([span.duration for span in trace.spans]):
        yield f"{where}: a span's duration is negative or above {MAX_VALUE} s"
    if not all(-MAX_VALUE <= span.start <= MAX_VALUE for span in trace.spans):
        yield f"{where}: a span starts more than {MAX_VALUE} s before or after the transaction"


def _plugin_problems(plugin: PluginStatus) -> Iterator[str]:
    times = [plugin.seconds_per_call]
    for function in plugin.functions:
        times += [function.p50, function.p95]
        if function.too_slow is not None:
            times += [function.too_slow.seconds, function.too_slow.limit]
    if not _are_times([seconds for seconds in times if seconds is not None]):
        yield f"plugin {plugin.name[:100]!r}: a time is negative or above {MAX_VALUE} s"


def _are_times(values: Iterable[float]) -> bool:
    return all(0 <= seconds <= MAX_VALUE for seconds in values)
