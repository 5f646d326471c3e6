"""``scout-core plugins new``: a package for a plugin, ready to be tested and published."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from scout_core.cli.output import as_json_option, say_json

KINDS: Final = ("library", "framework", "policy", "exporter")
"""As ``scout_core.scaffold`` has them, which is loaded when one is made."""


@click.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="library", show_default=True, help="What it does.")
@click.option("--target", metavar="MODULE:NAME", help="What to wrap.  [default: something that every Python has]")
@click.option("--library", metavar="DISTRIBUTION", help="Where the target is from.  [default: which has it here]")
@click.option("--oldest", metavar="VERSION", help="Of the library that is supported.  [default: the one here]")
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Folder to make it in.  [default: this one]",
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
    """
    Make a package for a plugin, with tests that pass.

    \b
    scout-core plugins new mailqueue --target mailqueue:Client.send
    scout-core plugins new jobs --kind framework --target jobs.worker:Worker.perform
    scout-core plugins new paying --kind policy
    scout-core plugins new to-file --kind exporter

    \b
    library    calls of a library as spans
    framework  requests or jobs of a framework as transactions
    policy     which traces are kept
    exporter   where reports go
    """
    from scout_core.scaffold import make_plan, render

    try:
        plan = make_plan(name, kind, target=target, library=library, oldest=oldest)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    made = render(plan, into)
    if as_json:
        say_json({"folder": str(made.folder), "files": made.files, "next": made.next})
        return
    click.echo(f"{made.folder}")
    for file in made.files:
        click.echo(f"  {file}")
    click.echo("\nNext:")
    for command in made.next:
        click.echo(f"  {command}")
