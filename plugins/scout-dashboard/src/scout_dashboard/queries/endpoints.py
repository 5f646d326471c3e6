"""Endpoints: the ranking by time consumed, which also jobs have on the first page, and the details of an endpoint or a job."""

from __future__ import annotations

from typing import Final

from scout_core.measuring.histogram import Histogram
from scout_core.operations import is_web
from scout_dashboard.errors import NotFound
from scout_dashboard.queries import error_groups, metrics, operations, traces
from scout_dashboard.queries.apdex import Thresholds
from scout_dashboard.queries.deploys import deploys
from scout_dashboard.queries.jobs import queues_of
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.publishers import Neighbour, jobs_published_by, publishers_of
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import Coverage, Ranked, by_name, by_step, coverage_of, durations_of, has_name

_MOST_GROUPS: Final = 10
"""Groups of errors on the page of an endpoint."""
_MOST_OPERATIONS: Final = 10
"""Operations on it."""


def ranking(reader: Reader, when: Range) -> Facts:
    """Rank all web endpoints of the range."""
    return {"of": "web", "rows": rows(reader, when, web=True)}


def rows(reader: Reader, when: Range, *, web: bool, limit: int | None = None) -> list[Facts]:
    """Return the rows of a ranking, most time consumed first; shares refer to all rows, including those beyond the limit."""
    names = by_name(reader, when, web=web, durations=limit is None)
    whole = sum(ranked.total for ranked in names.values())
    coverage = coverage_of(reader, when)
    first = sorted(names.items(), key=lambda item: (-item[1].total, item[0]))[:limit]
    few = None if limit is None else durations_of(reader, when, [name for name, _ in first], web=web)
    return [
        _row(
            name,
            ranked,
            merged_histogram(ranked.durations) if few is None else few[name],
            whole=whole,
            coverage=coverage,
        )
        for name, ranked in first
    ]


def detail(reader: Reader, when: Range, thresholds: Thresholds, *, name: str, sort: str) -> Facts:
    """
    Return the details of one endpoint or job.

    Raises:
        NotFound: the store has no data for this name.
    """
    steps = by_step(reader, when, web=is_web(name), name=name)
    if not steps and not has_name(reader, name, app=when.app):
        raise NotFound(f"no data for {label_of(name)[:200]!r}: it never ran, or its data has expired")
    whole, coverage = metrics.merged(steps), coverage_of(reader, when)
    return {
        "name": name,
        "label": label_of(name),
        "of": "web" if is_web(name) else "jobs",
        "sort": sort,
        "totals": metrics.totals(whole, coverage, apdex_seconds=thresholds.of(name)),
        "series": metrics.series(steps, when, coverage),
        **deploys(reader, when),
        "kinds": metrics.kinds(whole),
        "queues": [] if is_web(name) else queues_of(reader, when, name=name, whole=whole),
        "published": [_neighbour(other) for other in jobs_published_by(reader, when, name)],
        "publishers": [] if is_web(name) else [_neighbour(other) for other in publishers_of(reader, when, name)],
        "operations": operations.of_endpoint(reader, when, name, whole, limit=_MOST_OPERATIONS),
        "errors": error_groups.of_endpoint(reader, when, name, limit=_MOST_GROUPS),
        "traces": traces.rows(reader, when, name=name, order=sort, limit=50),
    }


def _neighbour(other: Neighbour) -> Facts:
    return {
        "name": other.name,
        "label": label_of(other.name),
        "count": other.count,
        "trace": other.trace,
        "start": other.start,
    }


def _row(name: str, ranked: Ranked, durations: Histogram, *, whole: float, coverage: Coverage | None) -> Facts:
    return {
        "name": name,
        "label": label_of(name),
        "count": ranked.count,
        "throughput_per_minute": metrics.per_minute(ranked.count, coverage),
        "errors": ranked.errors,
        "error_rate": metrics.rate(ranked.errors, ranked.count),
        "mean_ms": metrics.mean_ms(ranked.total, ranked.count),
        "p50_ms": metrics.milliseconds(durations.quantile(0.50)),
        "p95_ms": metrics.milliseconds(durations.quantile(0.95)),
        "total_ms": metrics.milliseconds(ranked.total),
        "share": round(ranked.total / whole, 6) if whole else 0.0,
    }
