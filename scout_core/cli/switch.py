"""``scout-core plugins enable`` and ``disable``: change the configuration file and show the difference."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scout_core.boundary.discovery import find_plugins
from scout_core.boundary.importing import search_path
from scout_core.boundary.next_step import how_to_enable
from scout_core.boundary.switches import why_disabled
from scout_core.cli.output import as_json_option, echo, print_json
from scout_core.cli.suggesting import no_such
from scout_core.config.config import Config, read_config
from scout_core.config.files import Settings, settings_here
from scout_core.config.options import BY_KEY, variable_of
from scout_core.config.origin import Layer
from scout_core.errors import ConfigError
from scout_core.problems import join_clauses

if TYPE_CHECKING:
    from scout_core.cli.edit import Names

FILE = "scout-core.toml"

names_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...")
dry_option = click.option("--dry-run", is_flag=True, help="Show the change without writing the file.")


_DISABLE_HELP: Final = """
Disable plugins in the configuration file.

\b
scout-core plugins disable redis
scout-core plugins disable redis jinja2 --dry-run

The file is the nearest scout-core.toml, or pyproject.toml with [tool.scout-core], in this folder or above. If there is
no such file, scout-core.toml is created here. Applications read the file when they start.
"""


@click.command(help=_DISABLE_HELP)
@names_argument
@dry_option
@as_json_option
@click.pass_context
def disable(ctx: click.Context, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run the command ``disable``."""
    _switch(ctx, names, is_on=False, dry_run=dry_run, as_json=as_json)


_ENABLE_HELP: Final = """
Enable plugins in the configuration file.

\b
scout-core plugins enable redis
scout-core plugins enable redis jinja2 --dry-run

Removes the names from plugins.disable. If plugins.autoload is false, also adds them to plugins.enable.
"""


@click.command(help=_ENABLE_HELP)
@names_argument
@dry_option
@as_json_option
@click.pass_context
def enable(ctx: click.Context, names: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run the command ``enable``."""
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
        warnings += _still_disabled(names, is_on=is_on)
    if as_json:
        facts = {"file": str(path), "changed": is_changed, "created": is_changed and is_new, "dry_run": dry_run}
        print_json(facts | {"diff": diff, "warnings": warnings})
    else:
        echo(_summary(path, is_changed=is_changed, is_new=is_new, dry_run=dry_run))
        for line in diff.splitlines():
            echo(line)
    for warning in warnings:
        echo(f"warning: {warning}", err=True)


def _check_names(ctx: click.Context, names: tuple[str, ...], config: Config) -> None:
    """Check them by metadata only, so that a plugin that hangs when it is imported can be disabled."""
    known = {found.name for found in find_plugins(search_path()).plugins}
    known |= {str(module) for module in config.get("plugins")} | {"*"}
    for name in names:
        if name not in known:
            message = no_such("plugin", name, sorted(known), otherwise="'scout-core plugins' lists all plugins.")
            raise click.UsageError(message, ctx)


def _file(settings: Settings | None) -> tuple[Path, bool]:
    if settings is not None:
        if settings.problems:
            raise ConfigError(f"{settings.problems[0]}; fix it first")
        return settings.path, False
    try:
        return Path.cwd() / FILE, True
    except FileNotFoundError as error:
        raise ConfigError("the working directory no longer exists; change to another directory") from error


def _changes(names: tuple[str, ...], config: Config, settings: Settings | None, *, is_on: bool) -> dict[str, Names]:
    if not is_on:
        return {"disable": lambda former: [*former, *names]}
    disabled = settings.values.get("plugins.disable", ()) if settings else ()
    if "*" in disabled and "*" not in names:
        raise ConfigError(
            f"plugins.disable is * in {settings.path if settings else FILE}; run first: scout-core plugins enable '*'"
        )
    changes: dict[str, Names] = {"disable": lambda former: [name for name in former if name not in names]}
    if not config.get("plugins.autoload"):
        changes["enable"] = lambda former: [*former, *(name for name in names if name != "*")]
    return changes


def _summary(path: Path, *, is_changed: bool, is_new: bool, dry_run: bool) -> str:
    if not is_changed:
        return f"nothing to change in {path}"
    verb = "created" if is_new else "changed"
    return f"would be {verb}: {path}" if dry_run else f"{verb} {path}"


def _warnings(names: tuple[str, ...], config: Config, *, is_on: bool) -> Iterator[str]:
    for key in ("plugins.disable", "plugins.enable") if is_on else ("plugins.disable",):
        for variable in map(variable_of, (key, *BY_KEY[key].aliases)):
            if os.environ.get(variable, "").strip():
                yield f"{variable} is set in the environment and overrides the file; unset or change it"
    required = [name for name in names if name in config.get("plugins.require")]
    if required and not is_on:
        origin = config.origin("plugins.require")
        yield f"plugins.require ({origin}) contains {', '.join(required)}; applications will not start the agent"


def _still_disabled(names: tuple[str, ...], *, is_on: bool) -> Iterator[str]:
    """Warn of plugins that something else disables, except for the environment, which has a warning of its own."""
    config = read_config(settings=settings_here())
    distributions = {found.name: found.distribution for found in find_plugins(search_path()).plugins}
    modules = {str(module) for module in config.get("plugins")}
    for name in names if is_on else ():
        problem = why_disabled(config, name, distribution=distributions.get(name), is_named=name in modules)
        if problem is not None and name != "*" and config.origin(problem.subject).layer is not Layer.ENVIRONMENT:
            step = how_to_enable(config, name, problem.subject, distributions.get(name))
            yield f"{name} is still disabled: {join_clauses(str(problem), str(step))}"
