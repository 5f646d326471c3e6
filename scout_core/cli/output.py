"""How commands print tables, problems and JSON. Results go to standard output, problems to standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

import click
from attrs import asdict, has

from scout_core.states import State

COLOURS: Final[dict[str, str]] = {
    State.ACTIVE: "green", State.WAITING: "yellow", State.SKIPPED: "yellow", State.QUARANTINED: "red", State.FAILED: "red",
    "ok": "green", "note": "yellow", "not reached": "yellow", "problem": "red",
}  # fmt: skip
"""Colour by state of a plugin, a finding or a rule."""

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(facts: Any) -> None:  # Any: whatever JSON can hold
    """Print one JSON document in ASCII, so that any terminal or pipe can take it."""
    click.echo(json.dumps(facts, default=_plain))


def print_problems(problems: Iterable[object]) -> None:
    """Print one line for each to standard error."""
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)


def print_printed(text: str) -> None:
    """Print the output of plugins to standard error, where it does not mix with results."""
    for line in text.splitlines():
        click.echo(line, err=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest cells, with states in colour."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [_coloured(cell, cell.ljust(width)) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def print_facts(facts: Iterable[tuple[str, str]], *, width: int = 12) -> None:
    """Print names and values; further lines of a value are aligned with its first."""
    for name, value in facts:
        first, *rest = value.splitlines() or [""]
        click.echo(f"  {name.ljust(width)}{_coloured(first.split(' ')[0], first)}".rstrip())
        for line in rest:
            click.echo(f"  {'':{width}}{line}".rstrip())


def _coloured(word: str, text: str) -> str:
    return click.style(text, fg=COLOURS[word]) if word in COLOURS else text


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return asdict(value) if has(type(value)) and not isinstance(value, type) else str(value)  # type: ignore[arg-type]  # has() does not narrow the type
