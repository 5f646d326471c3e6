"""``scout-core plugins NAME``: all that is known of one plugin, here and in the processes that run."""

from __future__ import annotations

import click
from attrs import asdict

from scout_core.boundary.plugin import Plugin
from scout_core.cli.here import Here, look
from scout_core.cli.live import LivePlugin, Living, live_plugins, living
from scout_core.cli.next_step import next_step
from scout_core.cli.option_rows import format_option, option_rows
from scout_core.cli.output import as_json_option, say_facts, say_json, say_problems
from scout_core.cli.source import Place, file_of, place_at_fault, place_in
from scout_core.cli.suggesting import no_such
from scout_core.measuring.report import PluginStatus


@click.command("show")
@click.argument("name")
@as_json_option
@click.pass_context
def show_plugin(ctx: click.Context, name: str, as_json: bool) -> None:
    """
    Show one plugin: its state and why, hooks, targets, options, and what to do.

    \b
    scout-core plugins flask
    scout-core plugins show flask      the same

    Where a dashboard runs, also how the plugin is in each process that reports to it.
    """
    here = look(instrument=True, commands=True)
    status = next((status for status in here.statuses if status.name == name), None)
    if status is None:
        names = [*here.plugins.all, *getattr(getattr(ctx.parent, "command", None), "commands", ())]
        raise click.UsageError(no_such("plugin", name, names, otherwise="'scout-core plugins' lists all plugins."), ctx)
    plugin = here.plugins.all[name]
    place = place_at_fault(plugin, status)
    live = [one for one in live_plugins(here.config) if one.name == name]
    running = living(live).get(name)
    if as_json or ctx.obj:
        say_json(
            asdict(status)
            | {
                "file": file_of(plugin),
                "place": asdict(place) if place else None,
                "options": list(option_rows(here.config, name)),
                "next_step": next_step(here, plugin, status, running),
                "running": asdict(running) if running else None,
                "processes": [asdict(one) for one in live],
            }
        )
    else:
        _say(here, plugin, status, place, live)
    say_problems(here.problems)
    if here.problems or status.state == "failed" or (running is not None and running.is_bad):
        raise SystemExit(1)


def _say(here: Here, plugin: Plugin, status: PluginStatus, place: Place | None, live: list[LivePlugin]) -> None:
    origin = ", ".join(filter(None, (status.distribution or "named module", file_of(plugin))))
    click.echo(f"{click.style(' '.join(filter(None, (status.name, status.version))), bold=True)} ({origin})")
    running = living(live).get(plugin.name)
    facts = [("state", _state(status, running))]
    if status.last_error:
        facts.append(("last error", status.last_error))
    if place:
        facts.append(("where", "\n".join(filter(None, (str(place), place.source())))))
    facts += [
        (key, value)
        for key, value in (
            ("library", status.target),
            ("hooks", ", ".join(status.hooks)),
            ("wrapped", "\n".join(status.wrapped)),
            ("waiting", "\n".join(status.waiting)),
            ("not found", "\n".join(status.not_found)),
            ("options", "\n".join(map(format_option, option_rows(here.config, plugin.name)))),
        )
        if value
    ]
    facts += [("process", "\n".join(filter(None, (one.told(), _source_of(one))))) for one in _shown(live)]
    step = next_step(here, plugin, status, running)
    if step:
        facts.append(("next", step))
    say_facts(facts)


def _state(status: PluginStatus, running: Living | None) -> str:
    """As of an application that starts here; where one runs in which the plugin is worse, that comes first."""
    reason = _without_ourselves(status.reason, status.name)
    here = f"{status.state}{': ' if reason else ''}{reason}"
    if running is None or not running.is_bad:
        return here
    there = f"{running.told()}: {_without_ourselves(running.reason, status.name)}"
    return f"{there}\n{here if reason else f'{here} in one that starts here'}"


def _without_ourselves(reason: str, name: str) -> str:
    """A reason whose last part sends the reader to this very command."""
    before, command, _ = reason.partition(f"'scout-core plugins {name}'")
    end = max(before.rfind("; "), before.rfind("? ") + 1)
    return reason[:end] if command and end > 0 else reason


def _shown(live: list[LivePlugin]) -> list[LivePlugin]:
    """Those that run; when there are none, the one that did last."""
    newest = max(live, key=lambda one: one.seen, default=None)
    return [one for one in live if one.is_living] or ([newest] if newest else [])


def _source_of(live: LivePlugin) -> str:
    place = place_in(live.last_error or "")
    return place.source() if place else ""
