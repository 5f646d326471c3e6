"""Corrections of what an honest agent can get wrong: times of a clock that is wrong, or was set while the process ran."""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import evolve

from scout_core.measuring.report import ErrorGroupMetrics, OperationMetrics, Report, Trace
from scout_dashboard.formatting import age

MAX_PERIOD: Final = 86_400.0
"""Seconds that a report covers at most."""
_DEFAULT_PERIOD: Final = 60.0
_MAX_DISTANCE: Final = 86_400.0
_MAX_UPTIME: Final = 10 * 365 * 86_400.0

LONG_PERIOD: Final = "period longer than a day"
EMPTY_PERIOD: Final = "period without a length"
START_OF_PROCESS: Final = "start of a process that cannot be right"
NO_NAME: Final = "application without a name"
LATER_TRACE: Final = "trace that ended after its report"
LATER_ERROR: Final = "time of an error after its report"
MORE_REPEATS: Final = "more transactions that repeat an operation than calls of it"
_LATEST: Final = 60.0
"""Seconds by which a time may be after the report that it is in: a clock may be adjusted meanwhile."""
UNNAMED: Final = "(without a name)"
FAR_TRACE: Final = "trace more than a day from its report, left out"


def shift(report: Report, offset: float) -> tuple[Report, Counter[str]]:
    """Return the report with its times by the clock here, and the correction."""
    if not offset:
        return report, Counter()
    traces = tuple(evolve(trace, start=trace.start - offset) for trace in report.traces)
    process = evolve(report.process, started=report.process.started - offset)
    groups = tuple(_shifted(group, offset) for group in report.error_groups)
    shifted = evolve(
        report,
        start=report.start - offset,
        end=report.end - offset,
        process=process,
        traces=traces,
        error_groups=groups,
    )
    by = age(round(abs(offset) / 60) * 60)
    return shifted, Counter({f"times of a clock that is {by} {'ahead' if offset > 0 else 'behind'}": 1})


def correct(report: Report) -> tuple[Report, Counter[str]]:
    """
    Return the report with times that fit its end, which is right, and how many were corrected, by reason.

    - A period of more than a day, or without a length, becomes the interval at which the process reports.
    - A process that started after its report, or more than ten years before it, started with its report.
    - A trace that ended more than a day before or after its report is left out; the figures include its transaction.
    - A trace that ended more than a minute after its report ended with it; so does an error, which was seen then.
    - No more transactions repeat an operation than there are calls of it in transactions of their name.
    - An application without a name gets one, by which it can be chosen.
    """
    corrected: Counter[str] = Counter()
    start = report.start
    if report.end - start > MAX_PERIOD or report.end == start:
        corrected[EMPTY_PERIOD if report.end == start else LONG_PERIOD] += 1
        start = report.end - min(report.period or _DEFAULT_PERIOD, MAX_PERIOD)
    process = report.process
    if not report.end - _MAX_UPTIME <= process.started <= report.end:
        corrected[START_OF_PROCESS] += 1
        process = evolve(process, started=start)
    if not process.app.strip():
        corrected[NO_NAME] += 1
        process = evolve(process, app=UNNAMED)
    earliest, latest = start - _MAX_DISTANCE, report.end + _MAX_DISTANCE
    traces = tuple(trace for trace in report.traces if earliest <= _end_of(trace) <= latest)
    if len(traces) < len(report.traces):
        corrected[FAR_TRACE] += len(report.traces) - len(traces)
    later = sum(_end_of(trace) > report.end + _LATEST for trace in traces)
    if later:
        corrected[LATER_TRACE] += later
        traces = tuple(_ended_by(trace, report.end) for trace in traces)
    groups = report.error_groups
    if later := sum(_latest_of(group) > report.end + _LATEST for group in groups):
        corrected[LATER_ERROR] += later
        groups = tuple(_seen_by(group, report.end) for group in groups)
    operations = report.operations
    if more := sum(map(_wrong_repeats, operations)):
        corrected[MORE_REPEATS] += more
        operations = tuple(_repeated_at_most(figures) for figures in operations)
    if not corrected:
        return report, corrected
    changed = evolve(report, start=start, process=process, traces=traces, error_groups=groups, operations=operations)
    return changed, corrected


def _shifted(group: ErrorGroupMetrics, offset: float) -> ErrorGroupMetrics:
    example = group.example and evolve(group.example, time=group.example.time - offset)
    return evolve(group, first=group.first - offset, last=group.last - offset, example=example)


def _ended_by(trace: Trace, end: float) -> Trace:
    return evolve(trace, start=end - trace.duration) if _end_of(trace) > end + _LATEST else trace


def _latest_of(group: ErrorGroupMetrics) -> float:
    return max(group.first, group.last, group.example.time if group.example else group.last)


def _seen_by(group: ErrorGroupMetrics, end: float) -> ErrorGroupMetrics:
    if _latest_of(group) <= end + _LATEST:
        return group
    example = group.example and evolve(group.example, time=min(group.example.time, end))
    return evolve(group, first=min(group.first, end), last=min(group.last, end), example=example)


def _wrong_repeats(figures: OperationMetrics) -> int:
    return sum(share.repeated > share.count for share in figures.endpoints.values())


def _repeated_at_most(figures: OperationMetrics) -> OperationMetrics:
    if not _wrong_repeats(figures):
        return figures
    endpoints = {
        name: evolve(share, repeated=min(share.repeated, share.count)) for name, share in figures.endpoints.items()
    }
    return evolve(figures, endpoints=endpoints)


def _end_of(trace: Trace) -> float:
    return trace.start + trace.duration
