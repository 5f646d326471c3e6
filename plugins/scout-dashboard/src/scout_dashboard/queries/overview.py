"""The first page: metrics of the application, its most expensive endpoints, and notable traces."""

from __future__ import annotations

from scout_dashboard.queries import endpoints, metrics, traces
from scout_dashboard.queries.apdex import Thresholds
from scout_dashboard.queries.deploys import deploys
from scout_dashboard.queries.metrics import Facts
from scout_dashboard.ranges import Range
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import by_step, coverage_of


def overview(reader: Reader, when: Range, thresholds: Thresholds) -> Facts:
    """Return the overview of web transactions, or of jobs when only jobs ran in the range."""
    steps = by_step(reader, when, web=True)
    jobs = {} if steps else by_step(reader, when, web=False)
    web = not jobs
    coverage = coverage_of(reader, when)
    return {
        "of": "web" if web else "jobs",
        "totals": metrics.totals(metrics.merged(steps or jobs), coverage, apdex_seconds=thresholds.of(None)),
        "series": metrics.series(steps or jobs, when, coverage),
        **deploys(reader, when),
        "slowest": endpoints.rows(reader, when, web=web, limit=5),
        "recent_traces": traces.recent(reader, when, limit=5),
    }
