"""Usage errors that name what was probably meant, and a group of commands that raises them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from scout_core.cli.output import echo, make_errors_visible
from scout_core.errors import ScoutError
from scout_core.suggest import similar


class SuggestingGroup(click.Group):
    """A group that suggests the command that was probably meant, and prints our own errors on one line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command as click does; the error for an unknown one names the next step."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise click.UsageError(f"No such command {name!r}. {self.next_step(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)

    def next_step(self, ctx: click.Context, name: str) -> str:
        """Return the sentence that follows "No such command"."""
        return suggestion(name, self.list_commands(ctx)) or f"'{ctx.command_path} --help' lists the commands."

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; an error that the user can fix is one line instead of a traceback."""
        try:
            return super().invoke(ctx)
        except ScoutError as error:
            echo(f"scout-core: {error}", err=True)
            ctx.exit(1)
        except click.ClickException as error:
            make_errors_visible(error)
            raise

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments; an error shows control characters as escapes."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            make_errors_visible(error)
            raise


def suggestion(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'enable'?``; empty when nothing is similar enough."""
    near = similar(name, known, count=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def no_such(kind: str, name: str, known: Iterable[str], *, otherwise: str) -> str:
    """
    Return the message for a name that does not exist: ``No such plugin 'flsk'. Did you mean 'flask'?``.

    Args:
        kind: what it would be the name of.
        otherwise: the sentence for a name that is like no other.
    """
    return f"No such {kind} {name!r}. {suggestion(name, known) or otherwise}"
