"""The first page: how the application is, what costs most, and traces worth a look."""

from __future__ import annotations

from scout_dashboard.queries import endpoints, figures, traces
from scout_dashboard.queries.figures import Facts
from scout_dashboard.ranges import Range
from scout_dashboard.store.figures import by_step, observed
from scout_dashboard.store.reader import Reader


def overview(reader: Reader, when: Range) -> Facts:
    """Of web transactions; of jobs when no web transaction ran in the range but jobs did."""
    steps = by_step(reader, when, web=True)
    jobs = {} if steps else by_step(reader, when, web=False)
    web = not jobs
    seen = observed(reader, when)
    return {
        "of": "web" if web else "jobs",
        "totals": figures.totals(figures.merged(steps or jobs), seen),
        "series": figures.series(steps or jobs, when, seen),
        "slowest": endpoints.rows(reader, when, web=web, limit=5),
        "recent_traces": traces.recent(reader, when, limit=5),
    }
