"""Renders templates. Autoescape is on for every template, whatever its name, and nothing is marked safe."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import cache
from importlib import metadata
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from scout_dashboard import formatting
from scout_dashboard.ranges import NAMED
from scout_dashboard.views import frames, gauges, palette, plugins, policies, processes, waterfall
from scout_dashboard.views.links import Links

NAVIGATION = (
    ("/", "Overview", "o"),
    ("/endpoints", "Endpoints", "e"),
    ("/jobs", "Jobs", "j"),
    ("/errors", "Errors", "x"),
    ("/plugins", "Plugins", "p"),
    ("/health", "Health", "h"),
)
REFRESH = 5
"""Seconds between two refreshes of a live page."""


@cache
def environment() -> Environment:
    """Return the Jinja2 environment; an undefined variable is an error, not an empty string."""
    jinja = Environment(
        loader=PackageLoader("scout_dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(
        duration=formatting.duration,
        cost=formatting.cost,
        rate=formatting.rate,
        percent=formatting.percent,
        count=formatting.count,
        decimal=formatting.decimal,
        size=formatting.size,
        age=formatting.age,
        iso=formatting.iso,
        utc=formatting.utc,
        moment=formatting.moment,
        breakable_parts=formatting.breakable_parts,
        kind_class=palette.kind_class,
        policy_class=palette.policy_class,
    )
    jinja.globals.update(
        plural=formatting.plural,
        navigation=NAVIGATION,
        ranges=tuple(NAMED),
        refresh=REFRESH,
        stacked=palette.stacked,
        chart_kinds=palette.chart_kinds,
        timeline=waterfall.timeline,
        parts=policies.parts,
        hint=policies.hint,
        folds=frames.folds,
        relation=frames.relation,
        balance=processes.balance,
        gauge_rows=gauges.gauge_rows,
        count_problems=processes.count_problems,
        slowness=plugins.slowness,
        switched_off=plugins.switched_off,
        slow_functions=plugins.slow_functions,
        missing_targets=plugins.missing_targets,
        version=metadata.version("scout-dashboard"),
    )
    return jinja


def render(
    request: Request, template: str, *, status: int = 200, without: Collection[str] = (), **context: Any
) -> HTMLResponse:
    """
    Render a page.

    Args:
        without: query parameters that its links drop.
        context: variables in addition to ``links``, ``now`` and the globals above. Any: pages differ.
    """
    links = Links(request.url.path, {key: value for key, value in _query(request).items() if key not in without})
    html = environment().get_template(template).render(links=links, now=time.time(), **context)
    return HTMLResponse(html, status_code=status)


def _query(request: Request) -> dict[str, str]:
    query: Mapping[str, str] = request.query_params
    return {key: query[key] for key in query}
