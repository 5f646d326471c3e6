"""Problems and next steps as data. Programs compare the kinds; only people read the texts, which nothing may parse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen


@frozen
class Problem:
    """Something that is wrong."""

    kind: str
    """A stable identifier: ``missing-target``, ``unknown-option``."""
    subject: str
    """The name of the thing: a target, an option, a module."""
    detail: str
    """A clause that is complete without the other fields, in lower case and without a full stop."""
    advice: str = ""
    """The remedy, a clause like ``detail``; empty when it follows from the kind, or is not known."""

    def __str__(self) -> str:
        return join_clauses(self.detail, self.advice)


TARGET_LABELS: Final = {
    "missing-target": "not found",
    "unsupported-target": "not wrapped",
    "incomplete-group": "left out",
}
"""The kinds of problems of targets, each with what the target is."""


@frozen
class NextStep:
    """The first thing that a person can do about the state of a plugin."""

    kind: str
    """A stable identifier: ``upgrade-plugin``, ``change-setting``."""
    text: str
    """An imperative without a full stop: ``upgrade the plugin``."""
    commands: tuple[str, ...] = ()
    """Shell commands that do it, the best first; empty when no command does."""

    def __str__(self) -> str:
        return f"{self.text}: {', or: '.join(self.commands)}" if self.commands else self.text


@frozen
class TooManyErrors:
    """The number of failures among a function's last calls."""

    errors: int
    calls: int

    def __str__(self) -> str:
        in_a_row = self.errors == self.calls
        return f"{self.errors} errors in a row" if in_a_row else f"{self.errors} errors in {self.calls} calls"


@frozen(kw_only=True)
class TooSlow:
    """The last timed calls of a function took longer than its limit allows."""

    seconds: float
    """The quantile of their durations that the limit applies to."""
    quantile: float
    """0.5 is the median, 0.95 the 95th percentile."""
    timed: int
    """The number of calls that were compared, at most ``window``."""
    window: int
    option: str
    """The option that sets the limit."""
    factor: int
    """How many times the value of the option is allowed."""
    limit: float
    """Seconds: the value of the option times the factor."""

    def __str__(self) -> str:
        measure = "median" if self.quantile == 0.5 else f"p{self.quantile * 100:.0f}"
        option = f"{self.factor} × {self.option}" if self.factor > 1 else self.option
        return (
            f"{_format(self.seconds)} a call ({measure} of the last {self.timed} timed calls, window {self.window}), "
            f"above {option} = {_format(self.limit)}"
        )


def join_problems(problems: Iterable[Problem]) -> str:
    """Return all of them on one line; empty without problems."""
    return join_clauses(*map(str, problems))


def join_clauses(*clauses: str) -> str:
    """Join those that are not empty by semicolons; after a question mark, a new sentence begins instead."""
    text = ""
    for clause in filter(None, clauses):
        if text.endswith("?"):
            text += f" {clause[0].upper()}{clause[1:]}"
        else:
            text += f"; {clause}" if text else clause
    return text


def _format(seconds: float) -> str:
    number, unit = (seconds * 1e6, "µs") if seconds < 0.001 else (seconds * 1e3, "ms")
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"
