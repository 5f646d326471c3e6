"""The group of all commands: the core's, and those of plugins, which are loaded only when needed."""

from __future__ import annotations

import sys
from typing import Final

import click

from scout_core.cli.output import VisibleFormatter, echo
from scout_core.cli.suggesting import SuggestingGroup, suggestion

ORDER: Final = ("demo", "up", "open", "run", "plugins", "hooks", "policy", "deploy", "config", "doctor")
"""The order of commands in the help; further commands of plugins follow by name."""
PROVIDED_BY: Final = {
    "demo": "scout-demo",
    "up": "scout-dashboard",
    "open": "scout-dashboard",
    "policy": "scout-dashboard",
    "deploy": "scout-dashboard",
}
"""Commands that the documentation mentions, and the distributions that provide them."""

HELP: Final = """
Application performance monitoring with an agent built from plugins.

\b
scout-core demo                    run a small shop under load, with a dashboard
scout-core up -- python app.py     run your application and the dashboard
scout-core run -- gunicorn a:app   run only your application
scout-core plugins                 list the installed plugins and their states
scout-core doctor                  find out why no data arrives
"""


class Commands(SuggestingGroup):
    """
    The top-level group.

    Plugins are imported only for a command that the core does not have, or to list all: commands that repair an
    environment must work even if a plugin hangs. Plugins cannot replace commands of the core.
    """

    has_plugins = False

    def get_command(self, ctx: click.Context | None, name: str) -> click.Command | None:
        """Return the core's command of this name, or else a plugin's."""
        if name not in self.commands and not name.startswith("-"):
            self.load_plugins()
        return self.commands.get(name)

    def list_commands(self, ctx: click.Context | None) -> list[str]:
        """Return all commands, in the order of the help."""
        self.load_plugins()
        places = {name: place for place, name in enumerate(ORDER)}
        return sorted(self.commands, key=lambda name: (places.get(name, len(ORDER)), name))

    def next_step(self, ctx: click.Context, name: str) -> str:
        """Return the sentence that follows "No such command"."""
        if name in PROVIDED_BY:
            return f"A plugin provides it: pip install {PROVIDED_BY[name]}"
        hint = "A plugin may provide it; 'scout-core plugins' lists the installed ones."
        return " ".join(filter(None, (suggestion(name, [*self.list_commands(ctx), *PROVIDED_BY]), hint)))

    def load_plugins(self) -> None:
        """Let every plugin add its commands; does nothing the second time."""
        if self.has_plugins:
            return
        self.has_plugins = True
        from scout_core.cli.announcing import BROKEN, ENDED
        from scout_core.cli.environment import load_here

        own, loaded = dict(self.commands), load_here()
        for plugin in loaded.plugins.all.values():
            if any(problem.kind in (ENDED, BROKEN) for problem in plugin.problems):
                echo(f"scout-core: plugin {plugin.name!r} is left out: {plugin.reason}", err=True)
        for guard in loaded.hooks.frozen("register_commands"):
            try:
                guard.run(self)
            except SystemExit as error:  # the other commands must keep working
                guard.fail(error)
            if guard.failures.last is not None:
                echo(f"scout-core: plugin {guard.plugin!r} could not add its commands: {guard.failures.last}", err=True)
            replaced = [name for name, command in own.items() if self.commands.get(name) is not command]
            for name in [name for name in self.commands if not name.isprintable()]:
                echo(
                    f"scout-core: plugin {guard.plugin!r} cannot add the command {name!r}: its name has control characters",
                    err=True,
                )
                del self.commands[name]
            if replaced:
                echo(f"scout-core: plugin {guard.plugin!r} cannot replace the command {', '.join(replaced)}", err=True)
                self.commands.update(own)


def build(*, with_plugins: bool = True) -> Commands:
    """Return the group with the core's commands; those of plugins are added now or when they are needed."""
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
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # a terminal whose encoding lacks “…” shows a question mark instead of failing
            stream.reconfigure(errors="replace")
    click.Context.formatter_class = VisibleFormatter
    build(with_plugins=False).main(prog_name="scout-core")


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from scout_core.agent import VERSION

        echo(f"scout-core {VERSION}")
        ctx.exit()
