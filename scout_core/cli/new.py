"""``scout-core plugins new``: creates the package of a plugin, ready to be tested and published."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from scout_core.cli.output import as_json_option, echo, print_json

KINDS: Final = ("library", "framework", "policy", "exporter")
"""As in ``scout_core.scaffold``, which is imported only when a package is created."""


_HELP: Final = """
Create a package for a plugin, with passing tests.

\b
scout-core plugins new mailqueue --target mailqueue:Client.send
scout-core plugins new jobs --kind framework --target jobs.worker:Worker.perform
scout-core plugins new paying --kind policy
scout-core plugins new to-file --kind exporter

\b
library    records calls of a library as spans
framework  records requests or jobs of a framework as transactions
policy     decides which traces are kept
exporter   sends reports somewhere
"""


@click.command("new", help=_HELP)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="library", show_default=True, help="Kind of plugin.")
@click.option("--target", metavar="MODULE:NAME", help="Function to wrap.  [default: a standard-library function]")
@click.option(
    "--library", metavar="DISTRIBUTION", help="The distribution that contains the target.  [default: the installed one]"
)
@click.option(
    "--oldest", metavar="VERSION", help="Oldest supported version of the library.  [default: the installed one]"
)
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Folder to create the package in.  [default: the current one]",
)
@as_json_option
def new_plugin(
    name: str,
    kind: str,
    target: str | None,
    library: str | None,
    oldest: str | None,
    into: Path,
    as_json: bool,
) -> None:
    """Run the command ``new``."""
    from scout_core.scaffold import make_plan, render

    try:
        plan = make_plan(name, kind, target=target, library=library, oldest=oldest)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    created = render(plan, into)
    if as_json:
        print_json({"folder": str(created.folder), "files": created.files, "next": created.next})
        return
    echo(str(created.folder))
    for file in created.files:
        echo(f"  {file}")
    echo()
    echo("Next:")
    for command in created.next:
        echo(f"  {command}")
