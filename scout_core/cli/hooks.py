"""``scout-core hooks``: every hook, its purpose, and the plugins that implement it."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from typing import Any, Final

import click
from attrs import asdict

from scout_core import hookspecs
from scout_core.boundary.hooks import AT_RUN_TIME, ON_APP_THREAD
from scout_core.boundary.implementations import hook_names
from scout_core.cli.environment import Environment, inspect_environment
from scout_core.cli.output import as_json_option, bold, echo, print_json, print_problems
from scout_core.cli.suggesting import no_such

_HELP: Final = """
List the hooks that plugins can implement, and the plugins that do, in the order in which they are called.

\b
scout-core hooks
scout-core hooks score_transaction

The option plugins.order changes the order.
"""


@click.command("hooks", help=_HELP)
@click.argument("names", nargs=-1, metavar="[HOOK...]")
@as_json_option
@click.pass_context
def show_hooks(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Run the command ``hooks``."""
    environment = inspect_environment()
    known = hook_names()
    for name in names:
        if name not in known:
            raise click.UsageError(no_such("hook", name, known, otherwise="'scout-core hooks' lists all hooks."), ctx)
    rows = [_row(environment, name) for name in known if not names or name in names]
    if as_json:
        print_json(rows)
    else:
        for number, row in enumerate(rows):
            if number:
                echo()
            _print(row)
    print_problems(environment.problems)
    if environment.problems:
        raise SystemExit(1)


def _row(environment: Environment, name: str) -> dict[str, Any]:  # Any: several types
    specified = getattr(hookspecs, name)
    return {
        "name": name,
        "signature": f"{name}{inspect.signature(specified)}".replace("'", ""),
        "meaning": _meanings().get(name, ""),
        "thread": _thread(name),
        "plugins": [asdict(member) for member in environment.found.implementations.get(name, ())],
    }


@cache
def _meanings() -> dict[str, str]:
    """Return the first line of each hook's docstring, from the source: ``python -OO`` drops docstrings."""
    functions = ast.parse(inspect.getsource(hookspecs)).body
    return {
        function.name: (ast.get_docstring(function) or "").partition("\n")[0]
        for function in functions
        if isinstance(function, ast.FunctionDef)
    }


def _thread(name: str) -> str:
    if name in ON_APP_THREAD:
        return "application"
    return "agent" if name in AT_RUN_TIME else "start"


def _print(row: dict[str, Any]) -> None:  # Any: as above
    echo(bold(row["signature"]))
    echo(f"    {row['meaning']}")
    for number, plugin in enumerate(row["plugins"], 1):
        idle = "" if plugin["is_called"] else ": not called while its options have their default values"
        echo(f"    {number}. {plugin['plugin']} ({plugin['distribution'] or 'named module'}){idle}")
