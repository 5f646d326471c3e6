"""About how many bytes a report is, in memory and encoded: fast enough for every report, and with its long texts counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scout_core.measuring.error_report import ErrorGroupMetrics, ErrorReport, ExceptionReport
from scout_core.measuring.report import OperationMetrics, PluginStatus, QueueMetrics, Report, Trace, TransactionMetrics
from scout_core.sending.fitting import Part


def weigh(part: Part) -> int:
    """Return the sum of its texts, and for everything else the usual number of bytes: 12 a bucket, 100 a kind, 120 a span."""
    if isinstance(part, Trace):
        return _weigh_trace(part)
    if isinstance(part, TransactionMetrics):
        kinds = sum(100 + len(kind) for kind in part.kinds)
        queues = sum(_weigh_queue(queue, figures) for queue, figures in part.queues.items())
        return 200 + len(part.name) + 12 * len(part.durations.buckets) + kinds + queues
    if isinstance(part, PluginStatus):
        return _weigh_plugin(part)
    if isinstance(part, ErrorGroupMetrics):
        return _weigh_group(part)
    if isinstance(part, OperationMetrics):
        return _weigh_operation(part)
    return _weigh_report(part)


def _weigh_queue(queue: str, figures: QueueMetrics) -> int:
    buckets = len(figures.durations.buckets) + len(figures.waits.buckets)
    return 150 + len(queue) + 12 * buckets + sum(20 + len(outcome) for outcome in figures.outcomes)


def _weigh_report(report: Report) -> int:
    counters = sum(500 + 60 * len(counters.dropped) for counters in report.counters.values())
    counters += sum(50 + 40 * len(numbers) for numbers in report.gauges.values())
    parts: tuple[Part, ...] = (
        *report.transactions, *report.traces, *report.plugins, *report.error_groups, *report.operations,
    )  # fmt: skip
    return 500 + counters + sum(map(weigh, parts))


def _weigh_trace(trace: Trace) -> int:
    spans = sum(120 + len(span.operation) + _weigh_tags(span.tags) for span in trace.spans)
    stacks = sum(50 + _weigh_frames(stack.frames) + 6 * len(stack.in_app) for stack in trace.stacks)
    repeats = sum(100 + len(call.operation + call.statement + call.file + call.function) for call in trace.repeats)
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
        + stacks
        + repeats
    )


def _weigh_group(group: ErrorGroupMetrics) -> int:
    texts = len(group.title) + len(group.exception) + len(group.cause) + len(group.where) + len(group.message)
    example = group.example
    of_example = (
        0 if example is None else 200 + len(example.name) + _weigh_tags(example.tags) + _weigh_error(example.error)
    )
    return 250 + texts + sum(20 + len(name) for name in group.endpoints) + of_example


def _weigh_operation(figures: OperationMetrics) -> int:
    texts = len(figures.operation) + len(figures.detail)
    lines = sum(100 + len(line.file) + len(line.function) for line in figures.lines)
    return 150 + texts + 12 * len(figures.durations.buckets) + sum(70 + len(name) for name in figures.endpoints) + lines


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
