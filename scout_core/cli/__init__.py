"""The command ``scout-core``. Its commands are added by modules here and by plugins, through the same hook."""

from __future__ import annotations

import click

from scout_core.errors import ScoutError


class Commands(click.Group):
    """A group that names what it does not have, and where commands come from."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a next step when there is no such command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = "Commands come from plugins; 'scout-core plugins' shows which are installed (up: scout-dashboard, demo: scout-demo)."
            raise click.UsageError(f"{error.message} {hint}", ctx) from error

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error that a person can act on is one line, not a traceback."""
        try:
            return super().invoke(ctx)
        except ScoutError as error:
            click.echo(f"scout-core: {error}", err=True)
            ctx.exit(1)


def build() -> click.Group:
    """The group with all commands: the core's, then those of every plugin."""
    from scout_core.boundary.discovery import find_plugins
    from scout_core.boundary.hooks import Hooks
    from scout_core.boundary.plugins import Plugins, search_path
    from scout_core.cli.config import show_config
    from scout_core.cli.plugins import show_plugins
    from scout_core.cli.run import run
    from scout_core.config.config import read_config
    from scout_core.config.files import settings_here

    group = Commands(
        name="scout-core",
        help="Application performance monitoring: an agent that is a framework of plugins.\n\n"
        "Try: scout-core demo, then scout-core up -- python app.py",
    )
    group.params.append(
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
        )
    )
    for command in (run, show_config, show_plugins):
        group.add_command(command)
    config = read_config(settings=settings_here())
    hooks = Hooks()
    plugins = Plugins(config, hooks)
    try:
        plugins.load(find_plugins(search_path()), config.get("plugins"))
    except ScoutError as error:  # a required plugin is missing: shown by the commands that care
        plugins.problems.append(str(error))
    for guard in hooks.frozen("register_commands"):
        try:
            guard.run(group)
        except SystemExit as error:  # as when it is imported: the other commands must stay
            guard.failed(error)
        if guard.errors:
            click.echo(f"scout-core: plugin {guard.plugin!r} could not add its commands: {guard.last_error}", err=True)
    return group


def main() -> None:
    """Entry point of the command."""
    build().main(prog_name="scout-core")


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from scout_core.agent import VERSION

        click.echo(f"scout-core {VERSION}")
        ctx.exit()
