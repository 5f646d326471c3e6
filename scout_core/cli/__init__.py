"""The command line ``scout-core``."""

from scout_core.cli.commands import build, main

__all__ = ["build", "main"]
