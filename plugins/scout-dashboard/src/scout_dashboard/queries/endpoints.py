"""Endpoints and jobs: ranked by the time they take of everybody, and one of them in detail."""

from __future__ import annotations

from scout_core.operations import is_web
from scout_dashboard.errors import NotFound
from scout_dashboard.queries import figures, traces
from scout_dashboard.queries.figures import Facts
from scout_dashboard.queries.names import label_of
from scout_dashboard.ranges import Range
from scout_dashboard.store.figures import Observed, Ranked, by_name, by_step, has_name, observed
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.reader import Reader


def ranked(reader: Reader, when: Range, *, of: str) -> Facts:
    """Every endpoint or job of the range: ``of`` is ``web`` or ``jobs``."""
    return {"of": of, "rows": rows(reader, when, web=of == "web")}


def rows(reader: Reader, when: Range, *, web: bool, limit: int | None = None) -> list[Facts]:
    """The rows of a ranking, most time consumed first; shares refer to all of them, also beyond the limit."""
    names = by_name(reader, when, web=web)
    whole = sum(each.total for each in names.values())
    seen = observed(reader, when)
    first = sorted(names.items(), key=lambda item: (-item[1].total, item[0]))[:limit]
    return [_row(name, each, whole=whole, seen=seen) for name, each in first]


def one(reader: Reader, when: Range, *, name: str, sort: str) -> Facts:
    """
    One endpoint or job.

    Raises:
        NotFound: nothing of this name is stored.
    """
    steps = by_step(reader, when, web=is_web(name), name=name)
    if not steps and not has_name(reader, name, app=when.app):
        raise NotFound(f"nothing is known of {label_of(name)[:200]!r}: it never ran, or too long ago")
    whole, seen = figures.merged(steps), observed(reader, when)
    return {
        "name": name,
        "label": label_of(name),
        "of": "web" if is_web(name) else "jobs",
        "sort": sort,
        "totals": figures.totals(whole, seen),
        "series": figures.series(steps, when, seen),
        "kinds": figures.kinds(whole),
        "traces": traces.rows(reader, when, name=name, order=sort, limit=50),
    }


def _row(name: str, each: Ranked, *, whole: float, seen: Observed | None) -> Facts:
    durations = merged_histogram(each.durations)
    return {
        "name": name,
        "label": label_of(name),
        "count": each.count,
        "throughput_per_minute": figures.per_minute(each.count, seen),
        "errors": each.errors,
        "error_rate": figures.rate(each.errors, each.count),
        "mean_ms": figures.mean_ms(each.total, each.count),
        "p50_ms": figures.milliseconds(durations.quantile(0.50)),
        "p95_ms": figures.milliseconds(durations.quantile(0.95)),
        "total_ms": figures.milliseconds(each.total),
        "share": round(each.total / whole, 6) if whole else 0.0,
    }
