"""How commands print: tables, problems and JSON. Results go to standard output, problems to standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

import click
from attrs import asdict, has

from scout_core.problems import Problem

COLOURS: Final = {
    "active": "green", "ok": "green", "waiting": "yellow", "skipped": "yellow", "not reached": "yellow", "note": "yellow",
    "failed": "red", "quarantined": "red", "problem": "red",
}  # fmt: skip
"""Of the words that say how something is."""

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")


def say_json(facts: Any) -> None:  # Any: whatever JSON can hold
    """One document on standard output, in ASCII, so that any terminal or pipe takes it."""
    click.echo(json.dumps(facts, default=_plain))


def say_problems(problems: Iterable[str | Problem]) -> None:
    """One line each, on standard error."""
    for problem in problems:
        click.echo(f"problem: {problem}", err=True)


def say_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, the last one as long as it is; words that say how something is are coloured."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [_coloured(cell, cell.ljust(width)) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def say_facts(facts: Iterable[tuple[str, str]], *, width: int = 12) -> None:
    """A name in front of each value; further lines of a value stand below its first."""
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
    return asdict(value) if has(type(value)) and not isinstance(value, type) else str(value)  # type: ignore[arg-type]  # has() is no type guard for both
