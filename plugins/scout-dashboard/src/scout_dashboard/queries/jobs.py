"""Jobs by name and queue, and the queues, the worst first: whether the workers keep up with what is published."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from math import ceil
from typing import Final

from attrs import evolve, frozen

from scout_core.instruments.jobs import RETRY
from scout_core.measuring.histogram import Histogram
from scout_dashboard.queries import metrics, waiting
from scout_dashboard.queries.deploys import deploys
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.queries.waiting import Waits
from scout_dashboard.ranges import Range
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.queues import Queued, StepWaits, by_job, by_queue, waits_by_step
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import Coverage, by_name, by_step, coverage_of
from scout_dashboard.store.sums import Sums

_NO_QUEUE: Final = ""


@frozen(kw_only=True)
class _Jobs:
    """Figures of jobs of one queue, or of those without a queue."""

    count: int
    errors: int
    total: float
    durations: Histogram
    queued: Queued
    """The figures of those of which more than the name is known."""


def jobs(reader: Reader, when: Range) -> Facts:
    """Return the jobs of the range by name and queue, most time first; the queues, the worst first; and whether they keep up."""
    steps, coverage = by_step(reader, when, web=False), coverage_of(reader, when)
    queues = _queue_rows(reader, when, metrics.merged(steps), coverage)
    of_name: dict[str, dict[str, Queued]] = {}
    for (name, queue), figures in by_job(reader, when).items():
        of_name.setdefault(name, {})[queue] = figures
    found = {
        (name, queue): figures
        for name, ranked in by_name(reader, when, web=False).items()
        for queue, figures in _split(
            Sums(
                count=ranked.count,
                errors=ranked.errors,
                total=ranked.total,
                durations=merged_histogram(ranked.durations),
            ),
            of_name.get(name, {}),
        ).items()
    }
    return {
        "of": "jobs",
        "rows": _job_rows(found, coverage),
        "queues": queues,
        "keeping_up": waiting.answer(queues),
        "series": metrics.series(steps, when, coverage) | _wait_series(reader, when),
        **deploys(reader, when),
    }


def queues_of(reader: Reader, when: Range, *, name: str, whole: Sums) -> list[Facts]:
    """Return the queues of one job, most time first; ``whole`` has all jobs of this name."""
    queues = {queue: figures for (_, queue), figures in by_job(reader, when, name=name).items()}
    found = {(name, queue): figures for queue, figures in _split(whole, queues).items()}
    return _job_rows(found, coverage_of(reader, when))


def _split(whole: Sums, queues: Mapping[str, Queued]) -> dict[str, _Jobs]:
    """Return jobs by their queue. Those of which nothing but the name is known are among those without a queue."""
    known = queues.values()
    durations = dict(whole.durations.buckets)
    for figures in known:
        for bucket, count in figures.durations.buckets.items():
            durations[bucket] = durations.get(bucket, 0) - count
    rest = Histogram({bucket: count for bucket, count in durations.items() if count > 0})
    without = queues.get(_NO_QUEUE, Queued())
    rest.merge(without.durations)
    found = {
        queue: _Jobs(
            count=figures.count,
            errors=figures.errors,
            total=figures.total,
            durations=figures.durations,
            queued=figures,
        )
        for queue, figures in queues.items()
    }
    found[_NO_QUEUE] = _Jobs(
        count=max(0, whole.count - sum(figures.count for figures in known)) + without.count,
        errors=max(0, whole.errors - sum(figures.errors for figures in known)) + without.errors,
        total=max(0.0, whole.total - sum(figures.total for figures in known)) + without.total,
        durations=rest,
        queued=without,
    )
    return {queue: figures for queue, figures in found.items() if figures.count}


def _job_rows(jobs: Mapping[tuple[str, str], _Jobs], coverage: Coverage | None) -> list[Facts]:
    whole = sum(figures.total for figures in jobs.values())
    return [
        {
            "name": name,
            "label": label_of(name),
            "queue": queue or None,
            **_facts(figures, coverage),
            "share": round(figures.total / whole, 6) if whole else 0.0,
        }
        for (name, queue), figures in sorted(jobs.items(), key=lambda item: (-item[1].total, item[0]))
    ]


def _queue_rows(reader: Reader, when: Range, whole: Sums, coverage: Coverage | None) -> list[Facts]:
    queues, former = by_queue(reader, when), by_queue(reader, _from_to(when, 2 * when.start - when.end, when.start))
    start, end = (coverage.start, coverage.end) if coverage else (when.start, when.end)

    @cache
    def steps_between(first: int, last: int) -> dict[str, Queued]:
        return by_queue(reader, _from_to(when, first, last))

    def between(queue: str, first: float, last: float) -> Waits:
        """Return the waits in the steps that start from the first time on and before the last."""
        of_steps = (min(max(time, when.start), when.end) for time in (first, last))
        found = steps_between(*(ceil(time / when.step) * when.step for time in of_steps))
        return waiting.waits_of(found.get(queue, Queued()))

    found = _split(whole, queues)
    rows = []
    for queue in {*found, *former}:
        before = former.get(queue, Queued())
        jobs = found.get(queue) or _Jobs(count=0, errors=0, total=0.0, durations=Histogram(), queued=Queued())
        comparison = waiting.compare(
            waiting.waits_of(queues.get(queue, Queued())), waiting.waits_of(before), partial(between, queue),
            start=start, end=end, is_running=jobs.count > 0, ended_before=before.count,
        )  # fmt: skip
        rows.append(
            {
                "queue": queue or None,
                **comparison.facts(),
                "count_before": before.count,
                **_facts(jobs, coverage),
            }
        )
    return sorted(rows, key=waiting.worst_first)


def _from_to(when: Range, start: int, end: int) -> Range:
    return evolve(when, start=start, end=end)


def _facts(jobs: _Jobs, coverage: Coverage | None) -> Facts:
    waits, outcomes = jobs.queued.waits, jobs.queued.outcomes
    return {
        "count": jobs.count,
        "throughput_per_minute": metrics.per_minute(jobs.count, coverage),
        "errors": jobs.errors,
        "error_rate": metrics.rate(jobs.errors, jobs.count),
        "mean_ms": metrics.mean_ms(jobs.total, jobs.count),
        "p50_ms": metrics.milliseconds(jobs.durations.quantile(0.50)),
        "p95_ms": metrics.milliseconds(jobs.durations.quantile(0.95)),
        "total_ms": metrics.milliseconds(jobs.total),
        "busy": round(jobs.total / coverage.seconds, 3) if coverage else 0.0,
        "wait_known": waits.count,
        "wait_ms": metrics.mean_ms(jobs.queued.queue_time, waits.count),
        "wait_p50_ms": metrics.milliseconds(waits.quantile(0.50)),
        "wait_p95_ms": metrics.milliseconds(waits.quantile(0.95)),
        "outcomes": dict(sorted(outcomes.items(), key=lambda item: (-item[1], item[0]))),
        "outcome_known": (known := sum(outcomes.values())),
        "retries": (retries := outcomes.get(RETRY, 0)),
        "retry_rate": metrics.rate(retries, known),
    }


def _wait_series(reader: Reader, when: Range) -> Facts:
    """Return how long the jobs of all queues waited in each step."""
    steps, none = waits_by_step(reader, when), StepWaits(0, 0.0, None)
    points = [steps.get(start, none) for start in when.points]
    return {
        "wait_ms": [metrics.mean_ms(waits.total, waits.count) for waits in points],
        "wait_p95_ms": [metrics.milliseconds(waits.p95) for waits in points],
    }
