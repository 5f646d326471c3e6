"""``scout-core config``: every option with its value and where that came from."""

from __future__ import annotations

import json
from pathlib import Path

import click

from scout_core.config.config import Config, read_config
from scout_core.config.files import find_settings
from scout_core.config.options import OPTIONS


@click.command("config")
@click.option("--check", is_flag=True, help="Show problems only; exit 1 when there are any.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_config(check: bool, as_json: bool) -> None:
    """Show every option: its value, where that came from, and what it means."""
    config = read_config(settings=find_settings(Path.cwd()))
    if as_json:
        click.echo(json.dumps({"options": _rows(config), "problems": config.problems}, default=str))
    elif not check:
        for row in _rows(config):
            click.echo(
                f"{click.style(str(row['key']), bold=True)} = {row['value']!r}  ({row['origin']})\n    {row['help']}"
            )
    for problem in config.problems:
        click.echo(f"problem: {problem}", err=True)
    if check and not config.problems:
        click.echo("no problems", err=True)
    if config.problems:
        raise SystemExit(1)


def _rows(config: Config) -> list[dict[str, object]]:
    return [
        {
            "key": option.key,
            "value": "…" if "token" in option.key and config.get(option.key) else config.get(option.key),
            "origin": config.origin(option.key),
            "default": option.default,
            "variable": option.variable,
            "help": option.help,
        }
        for option in OPTIONS
    ]
