"""About how many bytes a report is, in memory and encoded: fast enough for every report, and with its long texts counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scout_core.measuring.error_report import ErrorReport, ExceptionReport
from scout_core.measuring.report import PluginStatus, Report, Trace, TransactionMetrics
from scout_core.sending.fitting import Part


def weigh(part: Part) -> int:
    """Return the sum of its texts, and for everything else the usual number of bytes: 12 a bucket, 100 a kind, 120 a span."""
    if isinstance(part, Trace):
        return _weigh_trace(part)
    if isinstance(part, TransactionMetrics):
        kinds = sum(100 + len(kind) for kind in part.kinds)
        return 200 + len(part.name) + 12 * len(part.durations.buckets) + kinds
    if isinstance(part, PluginStatus):
        return _weigh_plugin(part)
    return _weigh_report(part)


def _weigh_report(report: Report) -> int:
    counters = sum(500 + 60 * len(counters.dropped) for counters in report.counters.values())
    counters += sum(50 + 40 * len(numbers) for numbers in report.gauges.values())
    parts: tuple[Part, ...] = (*report.transactions, *report.traces, *report.plugins)
    return 500 + counters + sum(map(weigh, parts))


def _weigh_trace(trace: Trace) -> int:
    spans = sum(120 + len(span.operation) + _weigh_tags(span.tags) for span in trace.spans)
    merged = sum(40 + len(operation) for operation in trace.merged)
    figures = 30 * (len(trace.policies) + len(trace.seen))
    return (
        300
        + len(trace.name)
        + len(trace.group)
        + figures
        + _weigh_tags(trace.tags)
        + sum(map(_weigh_error, trace.errors))
        + merged
        + spans
    )


def _weigh_error(error: ErrorReport) -> int:
    return 60 + sum(map(_weigh_exception, (error, *error.related)))


def _weigh_exception(exception: ExceptionReport) -> int:
    texts = len(exception.exception) + len(exception.message) + sum(4 + len(note) for note in exception.notes)
    return 120 + texts + _weigh_frames(exception.frames) + 6 * len(exception.in_app)


def _weigh_plugin(status: PluginStatus) -> int:
    targets = sum(len(target) + 4 for target in (*status.wrapped, *status.waiting, *status.not_found))
    problems = sum(
        80 + len(problem.subject) + len(problem.detail) + len(problem.advice)
        for problem in (*status.problems, *status.target_problems)
    )
    functions = sum(150 + len(function.place) + sum(map(len, function.unfollowed)) for function in status.functions)
    texts = len(status.reason) + len(status.last_error or "")
    return 400 + texts + targets + problems + functions + _weigh_frames(status.traceback)


def _weigh_frames(frames: Iterable[tuple[str, int, str]]) -> int:
    return sum(16 + len(file) + len(function) for file, _, function in frames)


def _weigh_tags(tags: Mapping[str, object]) -> int:
    return sum(20 + len(key) + (len(value) if isinstance(value, str) else 0) for key, value in tags.items())
