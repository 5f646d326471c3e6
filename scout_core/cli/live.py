"""The plugins of running processes, as reported by a dashboard on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from time import time

from attrs import frozen

from scout_core.cli.dashboard import DashboardError, ask
from scout_core.cli.source import place_of
from scout_core.cli.status_text import describe_function, describe_targets
from scout_core.config.config import Config
from scout_core.problems import NextStep
from scout_core.sending.protocol import (
    PLUGINS,
    PluginsAnswer,
    RunningPlugin,
    RunningProcess,
    is_heard_from,
    read_answer,
)
from scout_core.states import State


@frozen
class LivePlugin:
    """One plugin in one process that reports."""

    plugin: RunningPlugin
    process: RunningProcess
    age: float
    """Seconds since the process reported."""
    is_running: bool
    """The process has reported lately, by the rule of the dashboard."""

    @property
    def p95_ms(self) -> float | None:
        """95th percentile of its slowest function; None before the first sample."""
        return max((function.p95_ms for function in self.plugin.functions if function.p95_ms is not None), default=None)

    def describe(self) -> list[str]:
        """Return one line about the process, one for each function and each kind of targets, and the last error."""
        plugin = self.plugin
        reason = f": {plugin.reason}" if plugin.reason else ""
        process = f"{self.process.pid} ({self.process.app} on {self.process.host})"
        if not self.is_running:
            return [f"{process} has not reported for {seconds(self.age)}; last state: {plugin.state}{reason}"]
        calls = f"{plugin.calls} calls, {plugin.errors} errors"
        lines = [f"{process} {plugin.state}{reason}; {calls}; reported {seconds(self.age)} ago"]
        for name, targets in (
            ("wrapped", plugin.wrapped),
            ("waiting", plugin.waiting),
            *describe_targets(plugin),
        ):
            if targets:
                lines.append(f"{name}: {', '.join(targets)}")
        lines += [describe_function(function) for function in plugin.functions if function.calls]
        if plugin.last_error:
            lines.append(f"last error: {plugin.last_error}")
        places = [place_of(frame.file, frame.line, frame.function) for frame in plugin.traceback]
        lines += [f"    {place}" for place in places]
        lines += [line for place in places[:1] for line in place.source()]
        return lines


@frozen
class Summary:
    """One plugin in all running processes."""

    state: State
    """The worst state."""
    count: int
    """Processes in which it has that state."""
    processes: int
    reason: str
    """The reason in one process with that state; ``next_step`` is from the same one."""
    next_step: NextStep | None
    p95_ms: float | None
    """95th percentile of its slowest function in any process."""

    @property
    def is_bad(self) -> bool:
        """Whether it needs attention."""
        return self.state in (State.FAILED, State.QUARANTINED)

    @property
    def share(self) -> str:
        """``in 1 of 3 processes``."""
        share = f"{self.count} of {self.processes}" if self.count < self.processes else f"{self.processes}"
        return f"in {share} process{'es' if self.processes > 1 else ''}"


def live_plugins(config: Config) -> list[LivePlugin]:
    """Return every plugin of every process that reported in the last day, newest process first; none without a dashboard."""
    try:
        answer = read_answer(ask(config, PLUGINS), PluginsAnswer)
    except (DashboardError, ValueError):  # no dashboard, or one of another version
        return []
    now = time()
    return [
        LivePlugin(plugin, process, max(0.0, now - process.seen), is_running=_is_running(process, now))
        for process in answer.processes
        for plugin in process.plugins
    ]


def _is_running(process: RunningProcess, now: float) -> bool:
    if process.is_running is None:  # from a dashboard of an earlier version, which does not send the period either
        return is_heard_from(process.seen, None, now=now)
    return process.is_running


def summarise(plugins: Iterable[LivePlugin]) -> dict[str, Summary]:
    """Return a summary of each plugin by its name, over the processes that are running."""
    by_name: dict[str, list[LivePlugin]] = {}
    for live in plugins:
        if live.is_running:
            by_name.setdefault(live.plugin.name, []).append(live)
    return {name: _summary(group) for name, group in by_name.items()}


def _summary(group: list[LivePlugin]) -> Summary:
    worst = max((live.plugin for live in group), key=lambda plugin: plugin.state.severity)
    return Summary(
        state=worst.state,
        count=sum(live.plugin.state is worst.state for live in group),
        processes=len(group),
        reason=worst.reason,
        next_step=worst.next_step,
        p95_ms=max((live.p95_ms for live in group if live.p95_ms is not None), default=None),
    )


def seconds(value: float) -> str:
    """``5 s``, ``3 min`` or ``2 h``."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7_200 else f"{value / 3_600:.0f} h"
