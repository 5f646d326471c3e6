"""``scout-core run -- COMMAND``: run any Python program under the agent without changing its code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from scout_core import launch

MARKER = "SCOUT_CORE_RUN"


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which every Python interpreter starts the agent, child processes included."""
    folder = str(Path(launch.__file__).parent)
    path = [part for part in outer.get("PYTHONPATH", "").split(os.pathsep) if part and part != folder]
    return {**outer, "PYTHONPATH": os.pathsep.join([folder, *path]), MARKER: "1"}


_HELP: Final = """
Run a command under the agent.

\b
scout-core run -- python app.py
scout-core run -- gunicorn shop:app
scout-core run -- flask --app shop run
"""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, help=_HELP)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...]) -> None:
    """Run the command ``run``."""
    try:
        os.execvpe(command[0], command, environment(os.environ))  # noqa: S606  # running it is the point
    except OSError as error:
        raise click.UsageError(f"cannot run {command[0]!r}: {error.strerror}") from error
