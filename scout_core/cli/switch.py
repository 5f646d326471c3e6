"""``scout-core plugins enable`` and ``disable``: change the configuration file, and show what changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.plugins import search_path
from scout_core.boundary.switches import why_disabled
from scout_core.cli.output import as_json_option, say_json
from scout_core.cli.suggesting import no_such
from scout_core.config.config import Config, read_config
from scout_core.config.files import Settings, settings_here
from scout_core.config.options import BY_KEY, variable_of
from scout_core.errors import ConfigError

if TYPE_CHECKING:
    from scout_core.cli.edit import Names

FILE = "scout-core.toml"

names_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...")
dry_option = click.option("--dry-run", is_flag=True, help="Show the change, and leave the file as it is.")


@click.command()
@names_argument
@dry_option
@as_json_option
@click.pass_context
def disable(ctx: click.Context, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """
    Do not load these plugins any more: edit the configuration file.

    \b
    scout-core plugins disable redis
    scout-core plugins disable redis jinja2 --dry-run

    The file is the nearest scout-core.toml, or pyproject.toml with [tool.scout-core], here or in a folder above; without one,
    scout-core.toml is made here. Running applications read it when they start.
    """
    _switch(ctx, names, is_on=False, dry_run=dry_run, as_json=as_json)


@click.command()
@names_argument
@dry_option
@as_json_option
@click.pass_context
def enable(ctx: click.Context, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """
    Load these plugins again: edit the configuration file.

    \b
    scout-core plugins enable redis
    scout-core plugins enable redis jinja2 --dry-run

    Takes the names out of plugins.disable; where plugins.autoload is false, also puts them into plugins.enable.
    """
    _switch(ctx, names, is_on=True, dry_run=dry_run, as_json=as_json)


def _switch(ctx: click.Context, names: tuple[str, ...], *, is_on: bool, dry_run: bool, as_json: bool) -> None:
    from scout_core.cli.edit import Edited, edited

    settings = settings_here()
    config = read_config(settings=settings)
    _check_names(ctx, names, config)
    path, is_new = _file(settings)
    change = edited(path, _changes(names, config, settings, is_on=is_on), is_new=is_new)
    if change.after == change.before:
        change = Edited(path, change.before, change.before)
    is_changed = change.after != change.before
    if is_changed and not dry_run:
        change.write()
    diff = "".join(
        unified_diff(
            change.before.splitlines(keepends=True),
            change.after.splitlines(keepends=True),
            "/dev/null" if is_new else str(path),
            str(path),
        )
    )
    warnings = list(_warnings(names, config, is_on=is_on))
    if not dry_run:
        warnings += _without_effect(names, is_on=is_on)
    if as_json:
        facts = {"file": str(path), "changed": is_changed, "made": is_changed and is_new, "dry_run": dry_run}
        say_json(facts | {"diff": diff, "warnings": warnings})
    else:
        click.echo(_told(path, is_changed=is_changed, is_new=is_new, dry_run=dry_run))
        click.echo(diff, nl=False)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _check_names(ctx: click.Context, names: tuple[str, ...], config: Config) -> None:
    """Only by metadata: a plugin that hangs when it is imported can be disabled."""
    known = {found.name for found in find_plugins(search_path()).plugins}
    known |= {str(module) for module in config.get("plugins")} | {"*"}
    for name in names:
        if name not in known:
            message = no_such("plugin", name, sorted(known), otherwise="'scout-core plugins' lists all plugins.")
            raise click.UsageError(message, ctx)


def _file(settings: Settings | None) -> tuple[Path, bool]:
    if settings is not None:
        if settings.problems:
            raise ConfigError(f"{settings.problems[0]}; mend it first")
        return settings.path, False
    try:
        return Path.cwd() / FILE, True
    except FileNotFoundError as error:
        raise ConfigError("the working directory is gone, and with it the configuration file; go to another") from error


def _changes(names: tuple[str, ...], config: Config, settings: Settings | None, *, is_on: bool) -> dict[str, Names]:
    if not is_on:
        return {"disable": lambda former: [*former, *names]}
    disabled = settings.values.get("plugins.disable", ()) if settings else ()
    if "*" in disabled and "*" not in names:
        raise ConfigError(
            f"plugins.disable is * in {settings.path if settings else FILE}, which is all; first: scout-core plugins enable '*'"
        )
    changes: dict[str, Names] = {"disable": lambda former: [name for name in former if name not in names]}
    if not config.get("plugins.autoload"):
        changes["enable"] = lambda former: [*former, *(name for name in names if name != "*")]
    return changes


def _told(path: Path, *, is_changed: bool, is_new: bool, dry_run: bool) -> str:
    if not is_changed:
        return f"nothing to change in {path}"
    verb = "made" if is_new else "changed"
    return f"would be {verb}: {path}" if dry_run else f"{verb} {path}"


def _warnings(names: tuple[str, ...], config: Config, *, is_on: bool) -> Iterator[str]:
    for key in ("plugins.disable", "plugins.enable") if is_on else ("plugins.disable",):
        for variable in map(variable_of, (key, *BY_KEY[key].aliases)):
            if variable in os.environ:
                yield f"{variable} is set in the environment and wins over the file: unset it, or change it as well"
    required = [name for name in names if name in config.get("plugins.require")]
    if required and not is_on:
        origin = config.origin("plugins.require")
        yield f"plugins.require ({origin}) names {', '.join(required)}: an application does not start the agent without it"


def _without_effect(names: tuple[str, ...], *, is_on: bool) -> Iterator[str]:
    """What is not as it was wanted, though the file says so now, unless the environment explains it."""
    config = read_config(settings=settings_here())
    distributions = {found.name: found.distribution for found in find_plugins(search_path()).plugins}
    modules = {str(module) for module in config.get("plugins")}
    for name in names if is_on else ():
        reason = why_disabled(config, name, distribution=distributions.get(name), is_named=name in modules)
        if reason and "environment" not in reason and name != "*":
            yield f"{name} is disabled all the same: {reason}"
