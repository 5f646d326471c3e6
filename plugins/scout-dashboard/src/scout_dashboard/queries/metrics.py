"""Metrics for pages and JSON: totals, series and kinds, in milliseconds and per minute, None without data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scout_core.operations import OTHER
from scout_dashboard.queries.apdex import apdex
from scout_dashboard.ranges import Range
from scout_dashboard.store.rollups import Coverage
from scout_dashboard.store.sums import KindSums, Sums

Facts = dict[str, Any]  # Any: each key has its own shape

_MAX_KINDS: Final = 8


def milliseconds(seconds: float | None) -> float | None:
    """Convert to milliseconds, rounded to a microsecond."""
    return None if seconds is None else round(seconds * 1_000, 3)


def mean_ms(total: float, count: int) -> float | None:
    """Return the mean in milliseconds; None for a count of 0."""
    return milliseconds(total / count) if count else None


def per_minute(count: int, coverage: Coverage | None) -> float:
    """Return the rate over the time that reports cover; 0.0 without reports."""
    return 0.0 if coverage is None else coverage.rate(count)


def rate(part: int, whole: int) -> float | None:
    """Return a fraction from 0 to 1; None for a whole of 0."""
    return round(part / whole, 6) if whole else None


def merged(steps: Mapping[int, Sums]) -> Sums:
    """Add up all steps."""
    whole = Sums()
    for sums in steps.values():
        whole.add(sums)
    return whole


def totals(sums: Sums, coverage: Coverage | None, *, apdex_seconds: float) -> Facts:
    """Return one value per metric for the whole range, and the threshold of its Apdex."""
    return {
        "count": sums.count,
        "throughput_per_minute": per_minute(sums.count, coverage),
        "errors": sums.errors,
        "error_rate": rate(sums.errors, sums.count),
        "mean_ms": mean_ms(sums.total, sums.count),
        "p50_ms": milliseconds(sums.durations.quantile(0.50)),
        "p95_ms": milliseconds(sums.durations.quantile(0.95)),
        "p99_ms": milliseconds(sums.durations.quantile(0.99)),
        "apdex": apdex(sums.durations, sums.errors, seconds=apdex_seconds),
        "apdex_ms": milliseconds(apdex_seconds),
        "queue_ms": mean_ms(sums.queue_time, sums.queued),
    }


def series(steps: Mapping[int, Sums], when: Range, coverage: Coverage | None) -> Facts:
    """Return one value per metric and step; ``throughput`` is 0 in steps with reports but without transactions."""
    points = [(start, steps.get(start, Sums())) for start in when.points]
    return {
        "time": [start for start, _ in points],
        "throughput": [
            coverage and coverage.rate_of_step(sums.count, start, step=when.step, now=when.now)
            for start, sums in points
        ],
        "mean_ms": [mean_ms(sums.total, sums.count) for _, sums in points],
        "p50_ms": [milliseconds(sums.durations.quantile(0.50)) for _, sums in points],
        "p95_ms": [milliseconds(sums.durations.quantile(0.95)) for _, sums in points],
        "p99_ms": [milliseconds(sums.durations.quantile(0.99)) for _, sums in points],
        "error_rate": [rate(sums.errors, sums.count) for _, sums in points],
        "queue_ms": [mean_ms(sums.queue_time, sums.queued) for _, sums in points],
        "kinds": _kind_series([sums for _, sums in points]),
    }


def kinds(sums: Sums) -> list[Facts]:
    """Return the time and calls per transaction by kind, the most expensive kind first."""
    whole = sum(kind.exclusive for kind in sums.kinds.values())
    return [
        {
            "kind": name,
            "mean_ms": mean_ms(kind.exclusive, sums.count),
            "share": round(kind.exclusive / whole, 6) if whole else 0.0,
            "calls_per_transaction": round(kind.count / sums.count, 3) if sums.count else 0.0,
        }
        for name, kind in _by_cost(sums.kinds)
    ]


def _kind_series(points: list[Sums]) -> dict[str, list[float | None]]:
    whole: dict[str, KindSums] = {}
    for sums in points:
        for name, kind in sums.kinds.items():
            whole.setdefault(name, KindSums()).add(kind)
    names = [name for name, _ in _by_cost(whole) if name != OTHER]
    if len(names) < len(whole) or len(names) > _MAX_KINDS:
        names = [*names[: _MAX_KINDS - 1], OTHER]
    return {name: [_kind_ms(sums, name, names) for sums in points] for name in names}


def _kind_ms(sums: Sums, name: str, shown: list[str]) -> float | None:
    if name != OTHER:
        return mean_ms(sums.kinds[name].exclusive if name in sums.kinds else 0.0, sums.count)
    return mean_ms(
        sum(kind.exclusive for key, kind in sums.kinds.items() if key == OTHER or key not in shown), sums.count
    )


def _by_cost(kinds: Mapping[str, KindSums]) -> list[tuple[str, KindSums]]:
    return sorted(kinds.items(), key=lambda item: (-item[1].exclusive, item[0]))
