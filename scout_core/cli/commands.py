"""All commands in one group: the core's at once, those of plugins when one of them is asked for."""

from __future__ import annotations

import sys
from typing import Final

import click

from scout_core.cli.suggesting import SuggestingGroup, suggestion

ORDER: Final = ("demo", "up", "run", "plugins", "hooks", "policy", "config", "doctor")
"""In the help: what one begins with first; whatever else plugins add follows, by name."""
BROUGHT_BY: Final = {"demo": "scout-demo", "up": "scout-dashboard", "policy": "scout-dashboard"}
"""Commands that the documentation names, to the distribution that has them."""

HELP: Final = """
Application performance monitoring: an agent that is a framework of plugins.

\b
scout-core demo                    a small shop under load, and its dashboard
scout-core up -- python app.py     your application, and the dashboard
scout-core run -- gunicorn a:app   your application alone
scout-core plugins                 what is installed, and how it is
scout-core doctor                  why nothing arrives
"""


class Commands(SuggestingGroup):
    """
    The outermost group.

    Plugins are imported only when a command is asked for that the core does not have, or all are listed: what repairs an
    environment must work in one where a plugin hangs. They cannot replace a command of the core.
    """

    has_plugins = False

    def get_command(self, ctx: click.Context | None, name: str) -> click.Command | None:
        """The core's, else a plugin's."""
        if name not in self.commands and not name.startswith("-"):
            self.load_plugins()
        return self.commands.get(name)

    def list_commands(self, ctx: click.Context | None) -> list[str]:
        """All, in the order of the help."""
        self.load_plugins()
        places = {name: place for place, name in enumerate(ORDER)}
        return sorted(self.commands, key=lambda name: (places.get(name, len(ORDER)), name))

    def next_step(self, ctx: click.Context, name: str) -> str:
        """What to do when there is no such command."""
        if name in BROUGHT_BY:
            return f"It comes with a plugin; try: pip install {BROUGHT_BY[name]}"
        hint = "Commands come from plugins, too; 'scout-core plugins' shows which are installed."
        return " ".join(filter(None, (suggestion(name, [*self.list_commands(ctx), *BROUGHT_BY]), hint)))

    def load_plugins(self) -> None:
        """Let every plugin add its commands, once."""
        if self.has_plugins:
            return
        self.has_plugins = True
        from scout_core.cli.here import look

        own = dict(self.commands)
        for guard in look().hooks.frozen("register_commands"):
            try:
                guard.run(self)
            except SystemExit as error:  # as when it is imported: the other commands must stay
                guard.fail(error)
            if guard.failures.last is not None:
                click.echo(
                    f"scout-core: plugin {guard.plugin!r} could not add its commands: {guard.failures.last}", err=True
                )
            replaced = [name for name, command in own.items() if self.commands.get(name) is not command]
            if replaced:
                click.echo(
                    f"scout-core: plugin {guard.plugin!r} cannot replace the command {', '.join(replaced)}", err=True
                )
                self.commands.update(own)


def build(*, with_plugins: bool = True) -> Commands:
    """The group with the core's commands; those of plugins, too, or when they are asked for."""
    from scout_core.cli.config import show_config
    from scout_core.cli.doctor import doctor
    from scout_core.cli.hooks import show_hooks
    from scout_core.cli.plugins import plugins
    from scout_core.cli.run import run

    group = Commands("scout-core", help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
    group.params.append(
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
        )
    )
    for command in (run, plugins, show_hooks, show_config, doctor):
        group.add_command(command)
    if with_plugins:
        group.load_plugins()
    return group


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that has no “…” shows a question mark, not a traceback
            stream.reconfigure(errors="replace")
    build(with_plugins=False).main(prog_name="scout-core")


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from scout_core.agent import VERSION

        click.echo(f"scout-core {VERSION}")
        ctx.exit()
