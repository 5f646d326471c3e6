"""Problems and next steps as data. Programs compare the kinds; only people read the texts, which nothing may parse."""

from __future__ import annotations

from collections.abc import Iterable

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
