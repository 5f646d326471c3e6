"""``scout-core demo``: a small shop under load with the agent and the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the command."""
    from scout_demo.command import demo

    cli.add_command(demo)
