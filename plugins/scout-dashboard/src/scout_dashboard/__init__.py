"""Collector, store and dashboard in one process (``scout-core up``), and commands that read its store or add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def register_options() -> type:
    """``[tool.scout-core.plugins.dashboard]``."""
    from scout_dashboard.options import Options

    return Options


@hookimpl
def register_commands(cli: click.Group) -> None:
    """``scout-core up``, ``scout-core open``, ``scout-core policy`` and ``scout-core deploy``."""
    from scout_dashboard.commands import up
    from scout_dashboard.deploying import deploy
    from scout_dashboard.opening import open_dashboard
    from scout_dashboard.policy.commands import policy

    cli.add_command(up)
    cli.add_command(open_dashboard)
    cli.add_command(policy)
    cli.add_command(deploy)
