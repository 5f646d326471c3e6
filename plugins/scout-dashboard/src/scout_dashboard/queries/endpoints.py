"""Endpoints and jobs: the ranking by time consumed, and the details of one."""

from __future__ import annotations

from scout_core.operations import is_web
from scout_dashboard.errors import NotFound
from scout_dashboard.queries import metrics, traces
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import Coverage, Ranked, by_name, by_step, coverage_of, has_name


def ranking(reader: Reader, when: Range, *, of: str) -> Facts:
    """Rank all endpoints or jobs of the range; ``of`` is ``web`` or ``jobs``."""
    return {"of": of, "rows": rows(reader, when, web=of == "web")}


def rows(reader: Reader, when: Range, *, web: bool, limit: int | None = None) -> list[Facts]:
    """Return the rows of a ranking, most time consumed first; shares refer to all rows, including those beyond the limit."""
    names = by_name(reader, when, web=web)
    whole = sum(ranked.total for ranked in names.values())
    coverage = coverage_of(reader, when)
    first = sorted(names.items(), key=lambda item: (-item[1].total, item[0]))[:limit]
    return [_row(name, ranked, whole=whole, coverage=coverage) for name, ranked in first]


def detail(reader: Reader, when: Range, *, name: str, sort: str) -> Facts:
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
        "totals": metrics.totals(whole, coverage),
        "series": metrics.series(steps, when, coverage),
        "kinds": metrics.kinds(whole),
        "traces": traces.rows(reader, when, name=name, order=sort, limit=50),
    }


def _row(name: str, ranked: Ranked, *, whole: float, coverage: Coverage | None) -> Facts:
    durations = merged_histogram(ranked.durations)
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
