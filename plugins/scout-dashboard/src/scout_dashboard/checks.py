"""What a report must be beyond its types, so that no figure in the store can be nonsense."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import evolve

from scout_core.errors import RejectedReport
from scout_core.measuring.report import Report, Trace, TransactionMetrics

MOST: Final = 10**9
"""More of anything in one period is a mistake; also keeps sums far from SQLite's largest integer."""
_LONGEST_NAME: Final = 500
_LONGEST_ID: Final = 100
_AHEAD_SECONDS: Final = 86_400.0
_TRACE_ID: Final = re.compile(r"[0-9a-f]{16}")


def checked(report: Report, *, oldest: float, now: float) -> Report:
    """
    The report, its names cut to a length that fits a page.

    Args:
        oldest: Unix time before which nothing is kept.

    Raises:
        RejectedReport: each thing that is wrong.
    """
    wrong = list(_wrong(report, oldest=oldest, now=now))
    if wrong:
        raise RejectedReport("; ".join(wrong[:10])[:2_000])
    return evolve(
        report,
        process=evolve(report.process, app=_short(report.process.app)),
        transactions=tuple(evolve(each, name=_short(each.name)) for each in report.transactions),
        traces=tuple(evolve(each, name=_short(each.name)) for each in report.traces),
    )


def _wrong(report: Report, *, oldest: float, now: float) -> Iterator[str]:
    if not 0 < len(report.id) <= _LONGEST_ID or not 0 < len(report.process.instance) <= _LONGEST_ID:
        yield f"id and instance must have 1 to {_LONGEST_ID} characters"
    if report.start > report.end:
        yield "the period ends before it starts"
    if report.end < oldest:
        yield "the period is older than what is kept; is the clock of its machine right?"
    if report.end > now + _AHEAD_SECONDS:
        yield "the period is more than a day ahead of the collector; is the clock of its machine right?"
    for metrics in report.transactions:
        yield from _wrong_metrics(metrics)
    for trace in report.traces:
        yield from _wrong_trace(trace)


def _wrong_metrics(metrics: TransactionMetrics) -> Iterator[str]:
    where = f"transactions of {metrics.name[:100]!r}"
    counts = [metrics.count, metrics.errors, metrics.queued]
    times = [metrics.total, metrics.queue_time]
    for kind in metrics.kinds.values():
        counts += [kind.count, kind.errors]
        times += [kind.total, kind.exclusive]
    if max(counts) > MOST:
        yield f"{where}: a count is above {MOST}"
    if not all(0 <= seconds <= MOST for seconds in times):
        yield f"{where}: a time is negative or above {MOST} s"
    if metrics.durations.count != metrics.count:
        yield f"{where}: {metrics.count} transactions, but {metrics.durations.count} durations"


def _wrong_trace(trace: Trace) -> Iterator[str]:
    where = f"trace {trace.id[:40]!r}"
    if not _TRACE_ID.fullmatch(trace.id):
        yield f"{where}: an id has 16 hexadecimal digits"
    if not 0 <= trace.duration <= MOST or (trace.queue_time or 0) < 0:
        yield f"{where}: a time is negative"
    ids = {span.id for span in trace.spans}
    if len(ids) != len(trace.spans) or min(ids, default=1) < 1:
        yield f"{where}: ids of spans must differ and be above 0"
    if not all(0 <= span.duration <= MOST for span in trace.spans):
        yield f"{where}: a time of a span is negative"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
