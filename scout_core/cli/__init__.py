"""The command ``scout-core``. Its commands are added by modules here and by plugins, through the same hook."""

from scout_core.cli.commands import build, main

__all__ = ["build", "main"]
