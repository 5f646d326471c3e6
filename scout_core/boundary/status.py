"""A plugin as plain data, for reports and for the command."""

from __future__ import annotations

from scout_core.boundary.plugins import Plugin
from scout_core.measuring.report import PluginStatus


def status_of(plugin: Plugin) -> PluginStatus:
    """A plugin as it is at this moment, as plain data."""
    state, reason = plugin.state_now()
    failed = [guard for guard in plugin.guards if guard.error is not None]
    sampled = sum(guard.sampled_calls for guard in plugin.guards)
    return PluginStatus(
        name=plugin.name,
        distribution=plugin.found.distribution if plugin.found else None,
        version=plugin.found.version if plugin.found else None,
        state=state,
        reason=reason,
        target=plugin.support.target,
        hooks=plugin.hooks,
        wrapped=tuple(patch.target for patch in plugin.patches if patch.state == "wrapped"),
        waiting=tuple(patch.target for patch in plugin.patches if patch.state == "waiting"),
        not_found=tuple(patch.reason if patch.state == "not found" else f"{patch.target}: {patch.reason}"
                        for patch in plugin.patches if patch.state in ("not found", "left alone")),
        calls=sum(guard.calls for guard in plugin.guards),
        errors=sum(guard.errors for guard in plugin.guards),
        last_error=failed[-1].last_error if failed else None,
        seconds_per_call=sum(guard.sampled_ns for guard in plugin.guards) / sampled / 1e9 if sampled else None,
    )  # fmt: skip
