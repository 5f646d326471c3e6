"""The status of a plugin as plain data, for reports and for the command line."""

from __future__ import annotations

from scout_core.boundary.guard import Guard
from scout_core.boundary.next_step import next_step
from scout_core.boundary.pace import Slowness
from scout_core.boundary.patches import PatchState
from scout_core.boundary.plugin import MISSING_TARGET, Plugin
from scout_core.measuring.report import FunctionStatus, PluginStatus
from scout_core.problems import TooManyErrors, join_problems


def status_of(plugin: Plugin) -> PluginStatus:
    """Return the status of a plugin at this moment."""
    state, problems = plugin.current_state()
    failures = [guard.failures.last for guard in plugin.all_guards if guard.failures.last is not None]
    not_wrapped = plugin.target_problems()
    timed = sum(guard.pace.count for guard in plugin.all_guards)
    return PluginStatus(
        name=plugin.name,
        distribution=plugin.found.distribution if plugin.found else None,
        version=plugin.found.version if plugin.found else None,
        state=state,
        reason=join_problems(problems),
        problems=problems,
        next_step=next_step(plugin, state),
        target=plugin.support.target,
        hooks=plugin.hooks,
        wrapped=tuple(patch.target for patch in plugin.patches if patch.state is PatchState.WRAPPED),
        waiting=tuple(patch.target for patch in plugin.patches if patch.state is PatchState.WAITING),
        not_found=tuple(problem.subject for problem in not_wrapped if problem.kind == MISSING_TARGET),
        target_problems=not_wrapped,
        calls=sum(guard.calls for guard in plugin.all_guards),
        errors=sum(guard.failures.count for guard in plugin.all_guards),
        last_error=str(failures[-1]) if failures else None,
        seconds_per_call=sum(guard.pace.total_ns for guard in plugin.all_guards) / timed / 1e9 if timed else None,
        functions=tuple(map(_function, plugin.all_guards)),
        traceback=plugin.frames or (failures[-1].frames if failures else ()),
    )  # fmt: skip


def _function(guard: Guard) -> FunctionStatus:
    reason = guard.reason
    slowness = reason if isinstance(reason, Slowness) else guard.pace.slowness
    return FunctionStatus(
        place=guard.place,
        calls=guard.calls,
        errors=guard.failures.count,
        p50=guard.pace.quantile(0.5),
        p95=guard.pace.quantile(0.95),
        slow=slowness.limit.option if slowness else "",
        off="" if reason is None else "too-many-errors" if isinstance(reason, TooManyErrors) else "too-slow",
        too_slow=slowness.facts() if slowness else None,
        too_many_errors=reason if isinstance(reason, TooManyErrors) else None,
        is_recovered=guard.is_recovered,
        unfollowed=guard.unfollowed,
    )
