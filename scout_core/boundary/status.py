"""A plugin as plain data, for reports and for the command."""

from __future__ import annotations

from scout_core.boundary.guard import Guard
from scout_core.boundary.plugin import STOPPED, Plugin
from scout_core.measuring.report import FunctionStatus, PluginStatus


def status_of(plugin: Plugin) -> PluginStatus:
    """A plugin as it is at this moment, as plain data."""
    state, reason = plugin.state_now()
    failed = [guard for guard in plugin.guards if guard.error is not None]
    sampled = sum(guard.samples.count for guard in plugin.guards)
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
        seconds_per_call=sum(guard.samples.total_ns for guard in plugin.guards) / sampled / 1e9 if sampled else None,
        functions=tuple(map(_function, plugin.guards)),
        traceback=failed[-1].traceback if failed else (),
    )  # fmt: skip


def _function(guard: Guard) -> FunctionStatus:
    return FunctionStatus(
        place=guard.place,
        calls=guard.calls,
        errors=guard.errors,
        p50=guard.samples.quantile(0.5),
        p95=guard.samples.quantile(0.95),
        slow=guard.slowness,
        off=guard.off if guard.off not in (None, STOPPED) else "",
    )
