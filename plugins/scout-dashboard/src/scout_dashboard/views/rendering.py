"""Renders templates. Autoescape is on for every template, whatever its name, and nothing is marked safe."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from scout_dashboard import formatting
from scout_dashboard.ranges import NAMED
from scout_dashboard.views import (
    calls,
    changes,
    frames,
    gauges,
    paging,
    palette,
    plugins,
    policies,
    processes,
    queues,
    waterfall,
)
from scout_dashboard.views.bytecode import CompiledTemplates
from scout_dashboard.views.links import Links, base_of, path_of

NAVIGATION = (
    ("/", "Overview", "o"),
    ("/endpoints", "Endpoints", "e"),
    ("/jobs", "Jobs", "j"),
    ("/errors", "Errors", "x"),
    ("/operations", "Operations", "s"),
    ("/plugins", "Plugins", "p"),
    ("/health", "Health", "h"),
)
REFRESH = 5
"""Seconds between two refreshes of a live page."""
MOST_CALLS = 200
"""Rows of the summary of a trace."""
FEW_PROCESSES = 10
"""Up to this number, processes are shown without a fold for each application."""
MOST_PROCESSES = 50
"""Processes of an application that are shown one by one, if it is one of few."""
MOST_APPS = 50
"""Applications of a page, and of the menu."""
MOST_PANELS = 200
"""Processes of a page that are shown one by one."""


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
    jinja.bytecode_cache = CompiledTemplates(
        Path(__file__).parent, options=(jinja.autoescape, jinja.trim_blocks, jinja.lstrip_blocks)
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
        page_of=paging.page_of,
        most_calls=MOST_CALLS,
        parts=policies.parts,
        hint=policies.hint,
        folds=frames.folds,
        place=frames.place,
        relation=frames.relation,
        balance=processes.balance,
        gauge_rows=gauges.gauge_rows,
        count_problems=processes.count_problems,
        count_states=processes.count_states,
        processes_of=processes.processes_of,
        few_processes=FEW_PROCESSES,
        most_apps=MOST_APPS,
        processes_shown=lambda apps: max(1, min(MOST_PROCESSES, MOST_PANELS // apps)),
        slowness=plugins.slowness,
        switched_off=plugins.switched_off,
        slow_functions=plugins.slow_functions,
        unwrapped_targets=plugins.unwrapped_targets,
        called_by_span=calls.called_by_span,
        called_from=calls.called_from,
        caller_of=calls.caller_of,
        change_of=changes.change_of,
        deploy_answer=changes.answer,
        length=changes.length,
        queue_state=queues.queue_state,
        compared_with=queues.compared_with,
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
    query = {key: value for key, value in _query(request).items() if key not in without}
    links = Links(path_of(request), query, base_of(request))
    html = environment().get_template(template).render(links=links, now=time.time(), **context)
    return HTMLResponse(html, status_code=status)


def _query(request: Request) -> dict[str, str]:
    query: Mapping[str, str] = request.query_params
    return {key: query[key] for key in query}
