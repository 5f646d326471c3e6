"""How plugins are in the processes that run now, as a dashboard on this machine tells it."""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import Final

from attrs import frozen

from scout_core.cli.dashboard import NoDashboard, ask
from scout_core.config.config import Config
from scout_core.sending.protocol import (
    PLUGINS,
    PluginsAnswer,
    RunningFunction,
    RunningPlugin,
    RunningProcess,
    read_answer,
)

LIVES: Final = 3
"""Report periods after which a process that told nothing has ended."""
BAD: Final = ("failed", "quarantined")


@frozen(kw_only=True)
class LivePlugin:
    """One plugin in one process that reports."""

    name: str
    app: str
    host: str
    pid: int
    seen: float
    """When it reported last, in Unix seconds."""
    age: float
    """Seconds since then."""
    is_living: bool
    """It has reported in the last periods."""
    state: str
    reason: str
    calls: int
    errors: int
    last_error: str | None
    traceback: tuple[str, ...]
    """``file:line in function`` of the last error, innermost first."""
    functions: tuple[RunningFunction, ...]
    wrapped: tuple[str, ...]
    waiting: tuple[str, ...]
    not_found: tuple[str, ...]

    @property
    def p95_ms(self) -> float | None:
        """Of its slowest function; None before the first sample."""
        return max((one.p95_ms for one in self.functions if one.p95_ms is not None), default=None)

    def told(self) -> str:
        """One line on the whole, one for each function and each kind of targets, and those on what went wrong."""
        why = f": {self.reason}" if self.reason else ""
        process = f"{self.pid} ({self.app} on {self.host})"
        if not self.is_living:
            return f"{process} has not reported for {seconds(self.age)}; it was {self.state}{why}"
        head = (
            f"{process} {self.state}{why}; {self.calls} calls, {self.errors} errors; reported {seconds(self.age)} ago"
        )
        targets = [
            f"{what}: {', '.join(targets)}"
            for what, targets in (("wrapped", self.wrapped), ("waiting", self.waiting), ("not found", self.not_found))
            if targets
        ]
        functions = [_function_line(one) for one in self.functions if one.calls]
        error = [f"last error: {self.last_error}"] if self.last_error else []
        return "\n".join([head, *targets, *functions, *error, *(f"    {frame}" for frame in self.traceback)])


@frozen
class Living:
    """One plugin in all processes that run."""

    state: str
    """The worst there is."""
    worst: int
    """Processes where it is in that state."""
    processes: int
    reason: str
    """Of one of those."""
    p95_ms: float | None
    """Of its slowest function anywhere."""

    @property
    def is_bad(self) -> bool:
        """Somebody should look at it."""
        return self.state in BAD

    def told(self) -> str:
        """``quarantined in 1 of 3 processes``."""
        share = f"{self.worst} of {self.processes}" if self.worst < self.processes else f"{self.processes}"
        return f"{self.state} in {share} process{'es' if self.processes > 1 else ''}"


def live_plugins(config: Config) -> list[LivePlugin]:
    """Every plugin of every process that reported in the last day, newest process first; empty without a dashboard."""
    try:
        answer = read_answer(ask(config, PLUGINS), PluginsAnswer)
        now, patience = time(), LIVES * config.get("report_period")
        return [
            _plugin(plugin, process, age=max(0.0, now - process.seen), patience=patience)
            for process in answer.processes
            for plugin in process.plugins
        ]
    except (NoDashboard, ValueError):  # none, or one of another version
        return []


def living(plugins: Iterable[LivePlugin]) -> dict[str, Living]:
    """By name, how each plugin is in the processes that run."""
    by_name: dict[str, list[LivePlugin]] = {}
    for plugin in plugins:
        if plugin.is_living:
            by_name.setdefault(plugin.name, []).append(plugin)
    return {name: _together(each) for name, each in by_name.items()}


def _together(plugins: list[LivePlugin]) -> Living:
    order = ("active", "disabled", "waiting", "skipped", "quarantined", "failed")
    worst = max(plugins, key=lambda one: order.index(one.state) if one.state in order else len(order))
    return Living(
        state=worst.state,
        worst=sum(one.state == worst.state for one in plugins),
        processes=len(plugins),
        reason=worst.reason,
        p95_ms=max((one.p95_ms for one in plugins if one.p95_ms is not None), default=None),
    )


def _plugin(plugin: RunningPlugin, process: RunningProcess, *, age: float, patience: float) -> LivePlugin:
    return LivePlugin(
        name=plugin.name,
        app=process.app,
        host=process.host,
        pid=process.pid,
        seen=process.seen,
        age=age,
        is_living=age <= patience,
        state=plugin.state,
        reason=plugin.reason,
        calls=plugin.calls,
        errors=plugin.errors,
        last_error=plugin.last_error,
        traceback=tuple(f"{frame.file}:{frame.line} in {frame.function}" for frame in plugin.traceback),
        functions=plugin.functions,
        wrapped=plugin.wrapped,
        waiting=plugin.waiting,
        not_found=plugin.not_found,
    )


def _function_line(function: RunningFunction) -> str:
    took = ""
    if function.p50_ms is not None and function.p95_ms is not None:
        took = f", half within {microseconds(function.p50_ms)}, 95 of 100 within {microseconds(function.p95_ms)}"
    limits = "".join(f"; {text}" for text in (function.slow, function.off and f"switched off: {function.off}") if text)
    return f"{function.place}: {function.calls} calls{took}{limits}"


def microseconds(milliseconds: float) -> str:
    """``12 µs``; below ten with one digit more."""
    value = milliseconds * 1e3
    return f"{value:.0f} µs" if value >= 10 else f"{value:.1f} µs"


def seconds(value: float) -> str:
    """``5 s``, ``3 min`` or ``2 h``."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7_200 else f"{value / 3_600:.0f} h"
