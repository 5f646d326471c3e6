"""The help is complete when Python drops docstrings, as ``python -OO`` does."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import click
from scout_core.cli.commands import build

def print_help(command, parent, name):
    context = click.Context(command, parent=parent, info_name=name)
    print(command.get_help(context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            print_help(command.get_command(context, name), context, name)

print_help(build(), None, "scout-core")
build().main(["hooks"], prog_name="scout-core", standalone_mode=False)
"""


def printed(*options: str) -> str:
    done = subprocess.run([sys.executable, *options, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return done.stdout


def test_every_help_is_the_same_without_docstrings():
    complete = printed()

    assert "Check a plugin against the rules for all plugins." in complete
    assert complete == printed("-OO")
