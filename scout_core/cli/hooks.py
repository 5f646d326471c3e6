"""``scout-core hooks``: every hook, what it is for, and who implements it, in the order of the calls."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click

from scout_core import hookspecs
from scout_core.boundary.hooks import AT_RUN_TIME, ON_APP_THREAD
from scout_core.boundary.implementations import hook_names
from scout_core.cli.here import Here, look
from scout_core.cli.output import as_json_option, say_json, say_problems
from scout_core.cli.suggesting import no_such


@click.command("hooks")
@click.argument("names", nargs=-1, metavar="[HOOK...]")
@as_json_option
@click.pass_context
def show_hooks(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """
    Show every hook that a plugin can implement, and who does, in the order of the calls.

    \b
    scout-core hooks
    scout-core hooks score_transaction

    To change the order, see plugins.order in 'scout-core config'.
    """
    here = look()
    known = hook_names()
    for name in names:
        if name not in known:
            raise click.UsageError(no_such("hook", name, known, otherwise="'scout-core hooks' lists all hooks."), ctx)
    rows = [_row(here, name) for name in known if not names or name in names]
    if as_json:
        say_json(rows)
    else:
        click.echo("\n\n".join(_told(row) for row in rows))
    say_problems(here.problems)
    if here.problems:
        raise SystemExit(1)


def _row(here: Here, name: str) -> dict[str, Any]:  # Any: several types
    specified = getattr(hookspecs, name)
    return {
        "name": name,
        "signature": f"{name}{inspect.signature(specified)}".replace("'", ""),
        "meaning": (inspect.getdoc(specified) or "").partition("\n")[0],
        "thread": _thread(name),
        "plugins": list(_implementations(here, name)),
    }


def _thread(name: str) -> str:
    if name in ON_APP_THREAD:
        return "application"
    return "agent" if name in AT_RUN_TIME else "start"


def _implementations(here: Here, name: str) -> Iterator[dict[str, Any]]:  # Any: as above
    wanted = here.hooks.frozen(name, is_changed=here.config.is_changed)
    for guard in here.hooks.frozen(name):
        found = here.plugins.all[guard.plugin].found
        yield {
            "plugin": guard.plugin,
            "distribution": found.distribution if found else None,
            "is_called": guard in wanted,
        }


def _told(row: dict[str, Any]) -> str:  # Any: as above
    lines = [click.style(row["signature"], bold=True), f"    {row['meaning']}"]
    for place, one in enumerate(row["plugins"], 1):
        idle = "" if one["is_called"] else ": not called while its options are at their defaults"
        lines.append(f"    {place}. {one['plugin']} ({one['distribution'] or 'named module'}){idle}")
    return "\n".join(lines)
