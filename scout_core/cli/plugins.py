"""``scout-core plugins``: what is installed here and in which state; one of them in detail; and what changes them."""

from __future__ import annotations

from collections import Counter
from typing import Final

import click
from attrs import asdict

from scout_core.cli.check import check_plugin
from scout_core.cli.commands import Suggesting
from scout_core.cli.here import Here, look
from scout_core.cli.new import new_plugin
from scout_core.cli.output import as_json_option, say_json, say_problems, say_table
from scout_core.cli.plugin_detail import show_plugin
from scout_core.cli.switch import disable, enable
from scout_core.measuring.report import PluginStatus

_BY_URGENCY: Final = ("failed", "quarantined", "skipped", "disabled", "waiting")


class PluginCommands(Suggesting):
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

    States are those of an application that starts here; what happens inside one that runs is on the dashboard.
    Exit code 1 when a plugin failed, or one that is required is missing.
    """
    ctx.obj = as_json
    if ctx.invoked_subcommand is None:
        _show_all(look(instrument=True), as_json=as_json)


for _command in (enable, disable, check_plugin, new_plugin, show_plugin):
    plugins.add_command(_command)


def _show_all(here: Here, *, as_json: bool) -> None:
    if as_json:
        say_json([asdict(status) for status in here.statuses])
    else:
        say_table(("NAME", "VERSION", "STATE", "TARGET", "HOOKS", "FROM"), [_row(status) for status in here.statuses])
        _say_below(here.statuses)
    say_problems(here.problems)
    if here.failures or any(status.state == "failed" for status in here.statuses):
        raise SystemExit(1)


def _row(status: PluginStatus) -> tuple[str, ...]:
    return (
        status.name,
        status.version or "",
        status.state,
        status.target,
        ", ".join(status.hooks),
        status.distribution or "named module",
    )


def _say_below(statuses: list[PluginStatus]) -> None:
    told = sorted((status for status in statuses if status.reason), key=lambda status: _BY_URGENCY.index(status.state))
    click.echo()
    for status in told:
        click.echo(f"{status.name} is {status.state}: {status.reason}")
    count = Counter(status.state for status in statuses)
    states = ", ".join(f"{count[state]} {state}" for state in ("active", *reversed(_BY_URGENCY)) if count[state])
    example = next((status.name for status in told), "NAME")
    click.echo(f"{len(statuses)} plugins: {states}. Details: scout-core plugins {example}")
