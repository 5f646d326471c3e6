"""``scout-core config``: every option with its value and where that was set."""

from __future__ import annotations

from typing import Final

import click

from scout_core.cli.environment import inspect_environment
from scout_core.cli.option_rows import describe_option
from scout_core.cli.output import as_json_option, bold, echo, print_json, print_problems
from scout_core.cli.suggesting import no_such
from scout_core.config.options import ALIASES

_HELP: Final = """
Show every option: its value, where that was set, its type, its meaning and its default.

\b
scout-core config
scout-core config sample_rate plugins.disable
scout-core config --check                      as a step before a deployment

A value comes from the environment, else from code, the settings of a framework, the file, or the default. This command
does not run your application, so it cannot show what its code or its framework sets.
Exits with 1 if there is a problem.
"""


@click.command("config", help=_HELP)
@click.argument("keys", nargs=-1, metavar="[KEY...]")
@click.option("--check", is_flag=True, help="Show only problems; exit with 1 if there are any.")
@as_json_option
@click.pass_context
def show_config(ctx: click.Context, keys: tuple[str, ...], check: bool, as_json: bool) -> None:
    """Run the command ``config``."""
    here = inspect_environment(instrument=True)
    rows = here.found.options
    known = [str(row["key"]) for row in rows]
    wanted = {ALIASES.get(key, key) for key in keys}
    for key in sorted(wanted.difference(known)):
        raise click.UsageError(no_such("option", key, known, otherwise="'scout-core config' lists all options."), ctx)
    rows = [row for row in rows if not wanted or row["key"] in wanted]
    if as_json:
        print_json(
            {"file": str(here.settings.path) if here.settings else None, "options": rows, "problems": here.problems}
        )
    elif not check:
        for row in rows:
            value, details = describe_option(row)
            echo(bold(row["key"]), value.removeprefix(row["key"]))
            echo(details)
    print_problems(here.problems)
    if check and not here.problems:
        echo("no problems", err=True)
    if here.problems:
        raise SystemExit(1)
