"""How plugins are in the processes that run now, as a dashboard on this machine tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import time
from typing import Any, Final

from attrs import fields, frozen

from scout_core.cli.dashboard import NoDashboard, ask
from scout_core.config.config import Config

_Facts = Mapping[str, Any]  # Any: JSON
LIVES: Final = 3
"""Report periods after which a process that told nothing has ended."""
BAD: Final = ("failed", "quarantined")


@frozen(kw_only=True)
class LiveFunction:
    """One function of a plugin in one process."""

    place: str
    calls: int
    errors: int
    p50_ms: float | None
    """Of the sampled calls, as ``p95_ms``; None before the first sample."""
    p95_ms: float | None
    slow: str
    off: str

    def told(self) -> str:
        """How often it was called and how long that takes, on one line."""
        took = ""
        if self.p50_ms is not None and self.p95_ms is not None:
            took = f", half within {microseconds(self.p50_ms)}, 95 of 100 within {microseconds(self.p95_ms)}"
        worry = "".join(f"; {text}" for text in (self.slow, self.off and f"switched off: {self.off}") if text)
        return f"{self.place}: {self.calls} calls{took}{worry}"


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
    functions: tuple[LiveFunction, ...]
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
        functions = [one.told() for one in self.functions if one.calls]
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
        facts = ask(config, "/api/v1/plugins")
        now, patience = time(), LIVES * config.get("report_period")
        return [
            _plugin(plugin, process, age=max(0.0, now - process["seen"]), patience=patience)
            for process in facts["processes"]
            for plugin in process["plugins"]
        ]
    except (NoDashboard, KeyError, TypeError, ValueError):  # none, or one of another version
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


def _plugin(facts: _Facts, process: _Facts, *, age: float, patience: float) -> LivePlugin:
    return LivePlugin(
        name=str(facts["name"]),
        app=str(process["app"]),
        host=str(process["host"]),
        pid=int(process["pid"]),
        seen=float(process["seen"]),
        age=age,
        is_living=age <= patience,
        state=str(facts["state"]),
        reason=str(facts["reason"]),
        calls=int(facts["calls"]),
        errors=int(facts["errors"]),
        last_error=facts["last_error"],
        traceback=tuple(f"{one['file']}:{one['line']} in {one['function']}" for one in facts["traceback"]),
        functions=tuple(
            LiveFunction(**{each.name: one[each.name] for each in fields(LiveFunction)}) for one in facts["functions"]
        ),
        wrapped=tuple(facts["wrapped"]),
        waiting=tuple(facts["waiting"]),
        not_found=tuple(facts["not_found"]),
    )


def microseconds(milliseconds: float) -> str:
    """``12 µs``; below ten with one digit more."""
    value = milliseconds * 1e3
    return f"{value:.0f} µs" if value >= 10 else f"{value:.1f} µs"


def seconds(value: float) -> str:
    """``5 s``, ``3 min`` or ``2 h``."""
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7_200 else f"{value / 3_600:.0f} h"
