"""``scout-core plugins``: what is installed here, and in which state."""

from __future__ import annotations

import json

import click
from attrs import asdict

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.plugins import Plugins, search_path
from scout_core.config.config import read_config
from scout_core.config.files import settings_here
from scout_core.measuring.report import PluginStatus


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of objects.")
def show_plugins(as_json: bool) -> None:
    """
    Show every plugin of this environment.

    Exit code 1 when one of them failed. States inside a running application are on the dashboard.
    """
    from scout_core.boundary.status import status_of

    config = read_config(settings=settings_here())
    plugins = Plugins(config, Hooks())
    plugins.load(find_plugins(search_path()), config.get("plugins"))
    plugins.instrument()
    statuses = [status_of(plugin) for _, plugin in sorted(plugins.all.items())]
    plugins.undo()
    if as_json:
        click.echo(json.dumps([asdict(status) for status in statuses]))
    else:
        _table(statuses)
    for problem in (*config.problems, *plugins.problems):
        click.echo(f"problem: {problem}", err=True)
    if any(status.state == "failed" for status in statuses):
        raise SystemExit(1)


def _table(statuses: list[PluginStatus]) -> None:
    rows = [("NAME", "VERSION", "STATE", "TARGET", "HOOKS", "FROM")]
    rows += [
        (
            status.name,
            status.version or "",
            status.state,
            status.target,
            ", ".join(status.hooks),
            status.distribution or "named module",
        )
        for status in statuses
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for status in statuses:
        if status.reason:
            click.echo(f"\n{status.name} is {status.state}: {status.reason}")
