"""``scout-core config``: every option with its value and where that came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from scout_core.cli.here import Here, look
from scout_core.cli.output import as_json_option, say_json, say_problems
from scout_core.cli.plugin_options import options_of
from scout_core.cli.suggesting import no_such
from scout_core.config.options import ALIASES, OPTIONS
from scout_core.config.origin import Layer
from scout_core.config.values import is_secret
from scout_core.text.url import public_url


@click.command("config")
@click.argument("keys", nargs=-1, metavar="[KEY...]")
@click.option("--check", is_flag=True, help="Show problems only; exit 1 when there are any.")
@as_json_option
@click.pass_context
def show_config(ctx: click.Context, keys: tuple[str, ...], check: bool, as_json: bool) -> None:
    """
    Show every option: its value, where that came from, its default, and what it means.

    \b
    scout-core config
    scout-core config sample_rate plugins.disable
    scout-core config --check                      as a step before a deployment

    A value comes from the environment, else from code, the file, or the default. What code gives to start() is not seen from here.
    Exit code 1 when something cannot be used.
    """
    here = look(instrument=True)
    rows = [*_rows(here), *(row for name in here.plugins.all for row in options_of(here, name))]
    known = [str(row["key"]) for row in rows]
    wanted = {ALIASES.get(key, key) for key in keys}
    for key in sorted(wanted.difference(known)):
        raise click.UsageError(no_such("option", key, known, otherwise="'scout-core config' lists all options."), ctx)
    rows = [row for row in rows if not wanted or row["key"] in wanted]
    if as_json:
        say_json(
            {"file": str(here.settings.path) if here.settings else None, "options": rows, "problems": here.problems}
        )
    elif not check:
        for row in rows:
            click.echo(_told(row))
    say_problems(here.problems)
    if check and not here.problems:
        click.echo("no problems", err=True)
    if here.problems:
        raise SystemExit(1)


def _rows(here: Here) -> Iterator[dict[str, Any]]:  # Any: each option has its own type
    for option in OPTIONS:
        yield {
            "key": option.key,
            "value": _shown(option.key, here.config.get(option.key)),
            "origin": here.config.origin(option.key),
            "default": option.default,
            "variable": option.variable,
            "help": option.help,
        }


def _told(row: dict[str, Any]) -> str:  # Any: as above
    head = f"{click.style(row['key'], bold=True)} = {row['value']!r}  ({row['origin']})"
    is_default = row["origin"].layer is Layer.DEFAULT or row["value"] == row["default"]
    default = "" if is_default else f" Default: {row['default']!r}."
    meaning = f"{row['help']}{default}".strip()
    return f"{head}\n    {meaning}" if meaning else head


def _shown(key: str, value: object) -> object:
    if value and is_secret(key):
        return "…"
    return public_url(value) if isinstance(value, str) and key.endswith("_url") and value else value
