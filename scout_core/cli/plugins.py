"""``scout-core plugins``: the plugins installed here and their states, one plugin in detail, and the commands that change them."""

from __future__ import annotations

from collections import Counter
from typing import Final

import click
from attrs import asdict

from scout_core.cli.check import check_plugin
from scout_core.cli.environment import Environment, inspect_environment, timeout_option
from scout_core.cli.live import Summary, live_plugins, summarise
from scout_core.cli.new import new_plugin
from scout_core.cli.output import Styled, as_json_option, coloured, echo, print_json, print_problems, print_table
from scout_core.cli.plugin_detail import show_plugin
from scout_core.cli.status_text import format_cost
from scout_core.cli.suggesting import SuggestingGroup
from scout_core.cli.switch import disable, enable
from scout_core.measuring.report import PluginStatus
from scout_core.problems import NextStep, join_clauses
from scout_core.states import State


class PluginCommands(SuggestingGroup):
    """A group in which a word that is not a command is the name of a plugin."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take ``plugins flask`` for ``plugins show flask``."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            return "show", show_plugin, args
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were added."""
        return list(self.commands)


_HELP: Final = """
List all plugins in this environment, show one in detail, or change one.

\b
scout-core plugins                   all plugins and their states
scout-core plugins flask             one plugin: hooks, options, next step
scout-core plugins disable flask     in the configuration file
scout-core plugins check ./my_plugin.py
scout-core plugins new paying --kind policy

The states are those in an application that starts here. If a dashboard is running, RUNNING is the worst state in the
processes that report to it, and COST P95 the 95th percentile of the time that a call of the slowest function takes.
Exits with 1 if a plugin has failed, is quarantined in a running process, or something is misconfigured.
"""


@click.group(cls=PluginCommands, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND ...]", help=_HELP)
@timeout_option
@as_json_option
@click.pass_context
def plugins(ctx: click.Context, timeout: float, as_json: bool) -> None:
    """Run the command ``plugins``."""
    ctx.obj = as_json
    if ctx.invoked_subcommand is None:
        _show_all(inspect_environment(instrument=True, commands=True, seconds=timeout), as_json=as_json)


for _command in (enable, disable, check_plugin, new_plugin, show_plugin):
    plugins.add_command(_command)


def _show_all(environment: Environment, *, as_json: bool) -> None:
    live = [process for process in live_plugins(environment.config) if process.is_running]
    running = summarise(live)
    if as_json:
        summaries = {name: asdict(summary) for name, summary in running.items()}
        print_json([asdict(status) | {"running": summaries.get(status.name)} for status in environment.statuses])
    else:
        _print_table(environment.statuses, running)
        _print_below(environment.statuses, running)
        if live:
            count = len({process.process.instance for process in live})
            echo(f"RUNNING and COST P95: from the dashboard, for {count} process{'es' if count > 1 else ''}")
    print_problems(environment.problems)
    has_failed = any(status.state is State.FAILED for status in environment.statuses)
    if environment.problems or has_failed or any(summary.is_bad for summary in running.values()):
        raise SystemExit(1)


def _print_table(statuses: list[PluginStatus], running: dict[str, Summary]) -> None:
    head = ("NAME", "VERSION", "STATE", *(("RUNNING", "COST P95") if running else ()), "TARGET", "HOOKS", "FROM")
    print_table(head, [_row(status, running) for status in statuses])
    echo()


def _row(status: PluginStatus, running: dict[str, Summary]) -> tuple[str | Styled, ...]:
    return (
        status.name,
        status.version or "",
        coloured(status.state, status.state.value),
        *(_running_cells(running.get(status.name)) if running else ()),
        status.target,
        ", ".join(status.hooks),
        status.distribution or "named module",
    )


def _running_cells(summary: Summary | None) -> tuple[str | Styled, str]:
    if summary is None:
        return "", ""
    cost = format_cost(summary.p95_ms) if summary.p95_ms is not None else ""
    return coloured(summary.state, f"{summary.state} ({summary.count}/{summary.processes})"), cost


def _print_below(statuses: list[PluginStatus], running: dict[str, Summary]) -> None:
    bad = {name: summary for name, summary in running.items() if summary.is_bad}
    for name, summary in bad.items():
        echo(f"{name} {summary.state.predicate} {summary.share}: {_with_step(summary.reason, summary.next_step)}")
    explained = sorted((status for status in statuses if status.reason), key=lambda status: -status.state.severity)
    for status in explained:
        echo(f"{status.name} {status.state.predicate}: {_with_step(status.reason, status.next_step)}")
    count = Counter(status.state for status in statuses)
    states = ", ".join(f"{count[state]} {state}" for state in State if count[state])
    here = {status.name for status in statuses}
    example = next((name for name in [*bad, *(status.name for status in explained)] if name in here), "NAME")
    details = f": {states}. Details: scout-core plugins {example}" if statuses else ""
    echo(f"{len(statuses)} plugins{details}")


def _with_step(reason: str, step: NextStep | None) -> str:
    return join_clauses(reason, str(step) if step and step.kind != "none" else "")
