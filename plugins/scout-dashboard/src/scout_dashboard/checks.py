"""Checks that a report must pass beyond those of the wire format, so that the store never holds impossible values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import evolve

from scout_core.errors import RejectedReport
from scout_core.measuring.report import Report, Trace, TransactionMetrics

MAX_VALUE: Final = 10**9
"""Limit of any count or time in one period; keeps sums far below SQLite's largest integer."""
_MAX_NAME_LENGTH: Final = 500
_MAX_ID_LENGTH: Final = 100
_MAX_SECONDS_AHEAD: Final = 86_400.0
_TRACE_ID: Final = re.compile(r"[0-9a-f]{16}")


def validate(report: Report, *, oldest: float, now: float) -> Report:
    """
    Return the report with long names truncated.

    Args:
        oldest: start of the retention, Unix time.

    Raises:
        RejectedReport: the report is invalid; the message lists up to ten problems.
    """
    problems = list(_problems(report, oldest=oldest, now=now))
    if problems:
        raise RejectedReport("; ".join(problems[:10])[:2_000])
    return evolve(
        report,
        process=evolve(report.process, app=_truncated(report.process.app)),
        transactions=tuple(evolve(metrics, name=_truncated(metrics.name)) for metrics in report.transactions),
        traces=tuple(evolve(trace, name=_truncated(trace.name)) for trace in report.traces),
    )


def _problems(report: Report, *, oldest: float, now: float) -> Iterator[str]:
    if not 0 < len(report.id) <= _MAX_ID_LENGTH or not 0 < len(report.process.instance) <= _MAX_ID_LENGTH:
        yield f"id and instance must have 1 to {_MAX_ID_LENGTH} characters"
    if report.start > report.end:
        yield "the period ends before it starts"
    if report.end < oldest:
        yield "the period is older than the retention; check the clock of the reporting machine"
    if report.end > now + _MAX_SECONDS_AHEAD:
        yield "the period is more than a day ahead of the collector's clock; check the clock of the reporting machine"
    for metrics in report.transactions:
        yield from _metrics_problems(metrics)
    for trace in report.traces:
        yield from _trace_problems(trace)


def _metrics_problems(metrics: TransactionMetrics) -> Iterator[str]:
    where = f"transactions of {metrics.name[:100]!r}"
    counts = [metrics.count, metrics.errors, metrics.queued]
    times = [metrics.total, metrics.queue_time]
    for kind in metrics.kinds.values():
        counts += [kind.count, kind.errors]
        times += [kind.total, kind.exclusive]
    if max(counts) > MAX_VALUE:
        yield f"{where}: a count is above {MAX_VALUE}"
    if not all(0 <= seconds <= MAX_VALUE for seconds in times):
        yield f"{where}: a time is negative or above {MAX_VALUE} s"
    if metrics.durations.count != metrics.count:
        yield f"{where}: {metrics.count} transactions, but {metrics.durations.count} durations"


def _trace_problems(trace: Trace) -> Iterator[str]:
    where = f"trace {trace.id[:40]!r}"
    if not _TRACE_ID.fullmatch(trace.id):
        yield f"{where}: an id must have 16 hexadecimal digits"
    if not 0 <= trace.duration <= MAX_VALUE or (trace.queue_time or 0) < 0:
        yield f"{where}: a time is negative or above {MAX_VALUE} s"
    ids = {span.id for span in trace.spans}
    if len(ids) != len(trace.spans) or min(ids, default=1) < 1:
        yield f"{where}: span ids must be unique and greater than 0"
    if not all(0 <= span.duration <= MAX_VALUE for span in trace.spans):
        yield f"{where}: a span's duration is negative or above {MAX_VALUE} s"


def _truncated(name: str) -> str:
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 1]}…"
