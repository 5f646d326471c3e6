"""Log each plugin that cannot be used, once: at start, or when the application imports its library later."""

from __future__ import annotations

from collections.abc import Iterable

from scout_core.boundary.plugin import Plugin
from scout_core.log import Log
from scout_core.problems import join_clauses
from scout_core.states import State

log = Log("scout_core")


def log_states(plugins: Iterable[Plugin]) -> None:
    """Log why a plugin has failed or is skipped, unless that was logged before."""
    for plugin in plugins:
        if plugin.is_logged or plugin.current_state()[0] not in (State.FAILED, State.SKIPPED):
            continue
        from scout_core.boundary.status import status_of  # only where there is something to log

        status = status_of(plugin)
        plugin.is_logged = True
        step = str(status.next_step) if status.next_step else ""
        text = join_clauses(status.reason, step, f"details: scout-core plugins {plugin.name}")
        log.warning("plugin %r %s; the application is not affected: %s", plugin.name, status.state.predicate, text)
