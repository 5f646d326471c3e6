"""``scout-core config``: every option with its value and where that came from."""

from __future__ import annotations

import json
import os

import click

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.hooks import Hooks
from scout_core.boundary.plugins import Plugins, search_path
from scout_core.config.config import Config, read_config
from scout_core.config.files import settings_here
from scout_core.config.options import OPTIONS
from scout_core.config.values import is_secret
from scout_core.errors import PluginError
from scout_core.text.url import public_url


@click.command("config")
@click.option("--check", is_flag=True, help="Show problems only; exit 1 when there are any.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_config(check: bool, as_json: bool) -> None:
    """Show every option: its value, where that came from, and what it means."""
    config = read_config(settings=settings_here())
    problems = [*_problems_of_plugins(config), *config.problems]
    if as_json:
        click.echo(json.dumps({"options": _rows(config), "problems": problems}, default=str))
    elif not check:
        for row in _rows(config):
            click.echo(
                f"{click.style(str(row['key']), bold=True)} = {row['value']!r}  ({row['origin']})\n    {row['help']}"
            )
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)
    if check and not problems:
        click.echo("no problems", err=True)
    if problems:
        raise SystemExit(1)


def _problems_of_plugins(config: Config) -> list[str]:
    """Of names that no plugin has; those of plugins' own options are noted with the configuration."""
    plugins = Plugins(config, Hooks())
    try:
        plugins.load(find_plugins(search_path()), config.get("plugins"))
    except PluginError as error:  # a required one is missing
        return [str(error)]
    plugins.read_options(os.environ)
    return plugins.problems


def _rows(config: Config) -> list[dict[str, object]]:
    return [
        {
            "key": option.key,
            "value": _shown(option.key, config.get(option.key)),
            "origin": config.origin(option.key),
            "default": option.default,
            "variable": option.variable,
            "help": option.help,
        }
        for option in OPTIONS
    ]


def _shown(key: str, value: object) -> object:
    if value and is_secret(key):
        return "…"
    return public_url(value) if isinstance(value, str) and key.endswith("_url") and value else value
