"""``scout-core plugins NAME``: everything known about one plugin, here and in running processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
from attrs import asdict

from scout_core.cli.environment import Environment, inspect_environment, timeout_option
from scout_core.cli.live import LivePlugin, Summary, live_plugins, summarise
from scout_core.cli.option_rows import describe_option
from scout_core.cli.output import Styled, as_json_option, bold, coloured, echo, print_facts, print_json, print_problems
from scout_core.cli.source import Place, place_of
from scout_core.cli.status_text import describe_targets
from scout_core.cli.suggesting import no_such
from scout_core.measuring.report import PluginStatus
from scout_core.states import State

_HELP: Final = """
Show one plugin: its state and the reason, hooks, targets, options, and the next step.

\b
scout-core plugins flask
scout-core plugins show flask      the same

If a dashboard is running, also shows the plugin in each process that reports to it.
"""


@click.command("show", help=_HELP)
@click.argument("name")
@timeout_option
@as_json_option
@click.pass_context
def show_plugin(ctx: click.Context, name: str, timeout: float, as_json: bool) -> None:
    """Run the command ``show``."""
    environment = inspect_environment(instrument=True, commands=True, seconds=timeout)
    status = next((status for status in environment.statuses if status.name == name), None)
    if status is None:
        names = [*environment.found.files, *getattr(getattr(ctx.parent, "command", None), "commands", ())]
        raise click.UsageError(no_such("plugin", name, names, otherwise="'scout-core plugins' lists all plugins."), ctx)
    place = place_of(*status.traceback[0]) if status.traceback else None
    live = [process for process in live_plugins(environment.config) if process.plugin.name == name]
    running = summarise(live).get(name)
    if as_json or ctx.obj:
        facts = {
            "file": environment.found.files[name],
            "place": asdict(place) if place else None,
            "options": _options(environment, name),
            "running": asdict(running) if running else None,
            "processes": [_process_facts(process) for process in live],
        }
        print_json(asdict(status) | facts)
    else:
        _print(environment, status, place, live, running)
    print_problems(environment.problems)
    if environment.problems or status.state is State.FAILED or (running is not None and running.is_bad):
        raise SystemExit(1)


def _options(environment: Environment, name: str) -> list[dict[str, Any]]:  # Any: each option has its own type
    return [row for row in environment.found.options if row["plugin"] == name]


def _process_facts(live: LivePlugin) -> dict[str, Any]:  # Any: several types
    process = live.process
    facts = {"app": process.app, "host": process.host, "pid": process.pid, "seen": process.seen}
    return asdict(live.plugin) | facts | {"age": live.age, "is_running": live.is_running}


def _print(
    environment: Environment,
    status: PluginStatus,
    place: Place | None,
    live: list[LivePlugin],
    running: Summary | None,
) -> None:
    origin = ", ".join(filter(None, (status.distribution or "named module", environment.found.files[status.name])))
    echo(bold(" ".join(filter(None, (status.name, status.version)))), f" ({origin})")
    step = running.next_step if running and running.is_bad else status.next_step
    facts: tuple[tuple[str, Sequence[str | Styled]], ...] = (
        ("state", _describe_state(status, running)),
        ("last error", [status.last_error or ""]),
        ("where", [str(place), *place.source()] if place else []),
        ("library", [status.target]),
        ("hooks", [", ".join(status.hooks)]),
        ("wrapped", status.wrapped),
        ("waiting", status.waiting),
        *describe_targets(status),
        ("options", [line for row in _options(environment, status.name) for line in describe_option(row)]),
        *(("process", process.describe()) for process in _processes_to_show(live)),
        ("next", [str(step) if step else ""]),
    )
    print_facts((name, lines) for name, lines in facts if any(lines))


def _describe_state(status: PluginStatus, running: Summary | None) -> list[Styled]:
    """Return the state in a new process; a worse one in running processes comes first."""
    here = f"{status.state}: {status.reason}" if status.reason else str(status.state)
    if running is None or not running.is_bad:
        return [coloured(status.state, here)]
    return [
        coloured(running.state, f"{running.state} {running.share}: {running.reason}"),
        coloured(status.state, f"{here}{'' if status.reason else ' in a new process'}"),
    ]


def _processes_to_show(live: list[LivePlugin]) -> list[LivePlugin]:
    """Return the running ones, or else the last one that reported."""
    latest = max(live, key=lambda process: process.process.seen, default=None)
    return [process for process in live if process.is_running] or ([latest] if latest else [])
