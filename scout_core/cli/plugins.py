"""``scout-core plugins``: what is installed here and in which state; one of them in detail; and what changes them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import click
from attrs import asdict

from scout_core.cli.check import check_plugin
from scout_core.cli.here import Here, look
from scout_core.cli.live import Living, live_plugins, living, microseconds
from scout_core.cli.new import new_plugin
from scout_core.cli.output import as_json_option, say_json, say_problems, say_table
from scout_core.cli.plugin_detail import show_plugin
from scout_core.cli.suggesting import SuggestingGroup
from scout_core.cli.switch import disable, enable
from scout_core.measuring.report import PluginStatus

_BY_URGENCY: Final = ("failed", "quarantined", "skipped", "disabled", "waiting")


class PluginCommands(SuggestingGroup):
    """A group where a word that is no command is the name of a plugin."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """``plugins flask`` is ``plugins show flask``."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            return "show", show_plugin, args
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added."""
        return list(self.commands)


@click.group(cls=PluginCommands, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND ...]")
@as_json_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """
    Show every plugin of this environment, or one in detail, or change one.

    \b
    scout-core plugins                   all of them, with their states
    scout-core plugins flask             one of them: hooks, options, what to do
    scout-core plugins disable flask     in the configuration file
    scout-core plugins check ./my_plugin.py
    scout-core plugins new paying --kind policy

    States are those of an application that starts here. Where a dashboard runs, RUNNING is the worst state in the processes that
    report to it, and COST P95 the time that 95 of 100 calls of the slowest function take.
    Exit code 1 when a plugin failed, was switched off in a process that runs, or something cannot be used.
    """
    ctx.obj = as_json
    if ctx.invoked_subcommand is None:
        _show_all(look(instrument=True, commands=True), as_json=as_json)


for _command in (enable, disable, check_plugin, new_plugin, show_plugin):
    plugins.add_command(_command)


def _show_all(here: Here, *, as_json: bool) -> None:
    live = [one for one in live_plugins(here.config) if one.is_living]
    running = living(live)
    if as_json:
        say_json([asdict(one) | {"running": _plain(running.get(one.name))} for one in here.statuses])
    else:
        _say_table(here.statuses, running)
        _say_below(here.statuses, running)
        if live:
            count = len({(one.host, one.pid, one.app) for one in live})
            click.echo(f"RUNNING and COST P95: from the dashboard, of {count} process{'es' if count > 1 else ''}")
    say_problems(here.problems)
    is_bad = any(status.state == "failed" for status in here.statuses) or any(one.is_bad for one in running.values())
    if here.problems or is_bad:
        raise SystemExit(1)


def _say_table(statuses: list[PluginStatus], running: dict[str, Living]) -> None:
    head = ("NAME", "VERSION", "STATE", *(("RUNNING", "COST P95") if running else ()), "TARGET", "HOOKS", "FROM")
    say_table(head, [_row(status, running) for status in statuses])
    click.echo()


def _row(status: PluginStatus, running: dict[str, Living]) -> tuple[str, ...]:
    return (
        status.name,
        status.version or "",
        status.state,
        *(_live_cells(running.get(status.name)) if running else ()),
        status.target,
        ", ".join(status.hooks),
        status.distribution or "named module",
    )


def _live_cells(living: Living | None) -> tuple[str, str]:
    if living is None:
        return "", ""
    cost = microseconds(living.p95_ms) if living.p95_ms is not None else ""
    return f"{living.state} ({living.worst}/{living.processes})", cost


def _say_below(statuses: list[PluginStatus], running: dict[str, Living]) -> None:
    bad = {name: one for name, one in running.items() if one.is_bad}
    for name, one in bad.items():
        click.echo(f"{name} is {one.told()}: {one.reason}")
    told = sorted((status for status in statuses if status.reason), key=lambda status: _BY_URGENCY.index(status.state))
    for status in told:
        click.echo(f"{status.name} is {status.state}: {status.reason}")
    count = Counter(status.state for status in statuses)
    states = ", ".join(f"{count[state]} {state}" for state in ("active", *reversed(_BY_URGENCY)) if count[state])
    here = {status.name for status in statuses}
    example = next((name for name in [*bad, *(status.name for status in told)] if name in here), "NAME")
    details = f": {states}. Details: scout-core plugins {example}" if statuses else ""
    click.echo(f"{len(statuses)} plugins{details}")


def _plain(living: Living | None) -> dict[str, Any] | None:  # Any: several types
    return asdict(living) if living else None
