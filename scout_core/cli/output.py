"""
The only module that writes to the terminal. Results go to standard output, problems to standard error.

Names, messages and paths come from plugins, files and the network. Whatever could move the cursor, change colours or hide text is
shown as an escape such as ``\\x1b``; only colours of this module reach the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

import click
from attrs import asdict, evolve, frozen, has

from scout_core.states import State
from scout_core.text.plain import visible

COLOURS: Final[dict[str, str]] = {
    State.ACTIVE: "green", State.WAITING: "yellow", State.SKIPPED: "yellow", State.QUARANTINED: "red", State.FAILED: "red",
    "ok": "green", "note": "yellow", "not reached": "yellow", "problem": "red",
}  # fmt: skip
"""Colour by state of a plugin, a finding or a rule."""

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@frozen
class Styled:
    """A part of a line in a style."""

    text: str
    colour: str | None = None
    is_bold: bool = False


def bold(text: str) -> Styled:
    """Return a part in bold."""
    return Styled(text, is_bold=True)


def coloured(word: str, text: str) -> Styled:
    """Return a part in the colour of a state; without colour when the word is not a state."""
    return Styled(text, colour=COLOURS.get(word))


def echo(*parts: str | Styled, err: bool = False, nl: bool = True) -> None:
    """
    Print one line.

    Args:
        parts: printed one after the other. A line break in a part is shown as an escape: it would look like one of our lines.
        nl: False: do not end the line.
    """
    click.echo("".join(map(_rendered, parts)).rstrip(" ") if nl else "".join(map(_rendered, parts)), nl=nl, err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    """Print a text of our own that has several lines."""
    for line in text.split("\n"):
        echo(line, err=err)


def print_json(facts: Any) -> None:  # Any: whatever JSON can hold
    """Print one JSON document in ASCII, so that any terminal or pipe can take it."""
    echo(json.dumps(facts, default=_plain))


def print_problems(problems: Iterable[object]) -> None:
    """Print one line for each to standard error."""
    for problem in problems:
        echo(f"problem: {problem}", err=True)


def print_printed(text: str) -> None:
    """Print the output of plugins to standard error, where it does not mix with results."""
    for line in text.splitlines():
        echo(line, err=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str | Styled]]) -> None:
    """Print columns as wide as their widest cells."""
    table = [[cell if isinstance(cell, Styled) else Styled(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(visible(row[column].text)) for row in table) for column in range(len(head))]
    for row in table:
        cells = [
            evolve(cell, text=f"{visible(cell.text).ljust(width)}  ") for cell, width in zip(row, widths, strict=True)
        ]
        echo(*cells[:-1], row[-1])


def print_facts(facts: Iterable[tuple[str, Sequence[str | Styled]]], *, width: int = 12) -> None:
    """Print names and the lines of their values, below each other."""
    for name, lines in facts:
        first, *rest = lines or ("",)
        echo(f"  {visible(name).ljust(width)}", first)
        for line in rest:
            echo(f"  {'':{width}}", line)


def make_errors_visible(error: click.ClickException) -> None:
    """Let an error of click, which click prints itself, show control characters as escapes."""
    shown = error.format_message()
    error.format_message = lambda: "\n".join(map(visible, shown.split("\n")))  # type: ignore[method-assign]


class VisibleFormatter(click.HelpFormatter):
    """Help, with control characters in the texts of plugins as escapes."""

    def getvalue(self) -> str:
        """Return the help."""
        return "\n".join(map(visible, super().getvalue().split("\n")))


def _rendered(part: str | Styled) -> str:
    if isinstance(part, str):
        return visible(part)
    text = visible(part.text)
    return click.style(text, fg=part.colour, bold=part.is_bold or None) if part.colour or part.is_bold else text


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    return asdict(value) if has(type(value)) and not isinstance(value, type) else str(value)  # type: ignore[arg-type]  # has() does not narrow the type
