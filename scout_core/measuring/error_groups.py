"""
Groups of errors that are the same bug: those of one class, with the same root cause, from the same function of the application.

Neither the line nor the message counts, because edits move lines, and messages have ids in them. Only an error that passed through
no code of the application is also grouped by its message, without whatever may be a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from attrs import frozen

from scout_core.fork_lock import importing
from scout_core.text.patterns import pattern
from scout_core.text.plain import cut

if TYPE_CHECKING:
    from scout_core.measuring.error_report import ErrorReport, ExceptionReport, RelatedException
    from scout_core.tracebacks import Frame

NO_EXCEPTION: Final = "no exception"
RULE: Final = 1
"""Raised with every change of the rule, so that a key never stands for two kinds of group."""
KEY_LENGTH: Final = 12
MOST_MEMBERS: Final = 5
"""Classes in a group of exceptions that count, the first by name."""
LONGEST_TEMPLATE: Final = 80
"""Characters of a message that count."""
LONGEST_NAME: Final = 200
"""Characters of a class, and of a place, that count."""
_MOST_STEPS: Final = 10
_MOST_KNOWN: Final = 1_000
"""Classes and groups whose names and keys are kept: the same errors come again."""

_ANONYMOUS: Final = frozenset(("<lambda>", "<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"))
"""Their code moves into the function around them when Python changes (3.12), or when somebody writes them differently."""
_RECURSION: Final = "RecursionError"

# Part of a class that was made at run time, ``Timeout_8f3a91c2``; ``Http404`` and ``S3Error`` are names.
_MADE: Final = pattern(r"_?(?:(?=[0-9a-f]*[0-9])[0-9a-f]{8,}|[0-9]{4,})(?![a-z])")
# A value in a message: quoted, or a word with a digit: `42`, `0x7f3a`, `2026-11-30`, `order-17`, a UUID.
_VALUES: Final = pattern(r"\"[^\"]*\"|'[^']*'|[\w.:+-]*[0-9][\w.:+-]*")
_REPEATED: Final = pattern(r"\?(?:[\s,;()\[\]{}'\"]{1,3}\?)+")


@frozen(kw_only=True)
class ErrorGroup:
    """The facts that errors of one group have in common."""

    key: str
    """12 hexadecimal digits, the same in every process and on every machine."""
    exception: str
    """Class of the exception, with its module; empty: a transaction failed without one."""
    members: tuple[str, ...]
    """Classes of the exceptions in an exception group, by name."""
    cause: str
    """Class of the root cause; empty: the exception was not raised from another one, or while one was handled."""
    place: str
    """Innermost function of the application, ``shop.cart:Cart.total``; of any code where none is its own; empty without frames."""
    template: str
    """The message without values, where no code of the application is known; empty otherwise."""

    @property
    def title(self) -> str:
        """One line: ``shop.Unavailable from ConnectionError in shop.stock:fetch``."""
        members = f" of {', '.join(self.members)}" if self.members else ""
        cause = f" from {self.cause}" if self.cause else ""
        place = f" in {self.place}" if self.place else ""
        return f"{self.exception or NO_EXCEPTION}{members}{cause}{place}{f': {self.template}' if self.template else ''}"


def identify(error: ErrorReport) -> ErrorGroup:
    """Return the group of an error; its place is ``where``, or for an agent that does not send that, file and function."""
    exception = _class(error.exception)
    members = tuple(sorted({_class(leaf.exception) for leaf in _leaves(error)})[:MOST_MEMBERS])
    cause = _class(_root_cause(error))
    number = place_of(error)
    place = "" if number is None else (error.where or _by_file(error.frames[number]))[:LONGEST_NAME]
    template = "" if number is not None and any(error.in_app) else _template(error.message)
    parts = (str(RULE), exception, ",".join(members), cause, place, template)
    return ErrorGroup(
        key=_digest(parts), exception=exception, members=members, cause=cause, place=place, template=template
    )


def failure_group(name: str) -> ErrorGroup:
    """Return the group of the transactions of one name that failed without an exception, as with a response of status 500."""
    return ErrorGroup(key=_digest((str(RULE), "", name)), exception="", members=(), cause="", place=name, template="")


def place_of(error: ExceptionReport) -> int | None:
    """Return the number of the frame that an error is placed in; None without frames."""
    if not error.frames:
        return None
    own = [index for index, is_own in enumerate(error.in_app[: len(error.frames)]) if is_own]
    if not own:
        return 0
    if error.exception == _RECURSION:
        return _in_circle(error, own)
    innermost = own[0]
    file, _, function = error.frames[innermost]
    if function not in _ANONYMOUS:
        return innermost
    around = (index for index in own if error.frames[index][0] == file and error.frames[index][2] not in _ANONYMOUS)
    return next(around, innermost)


@lru_cache(maxsize=_MOST_KNOWN)
def _digest(parts: tuple[str, ...]) -> str:
    with importing:  # on the agent's thread, at the first error
        from hashlib import sha256
    return sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:KEY_LENGTH]


@lru_cache(maxsize=_MOST_KNOWN)
def _class(name: str) -> str:
    if name.startswith("exceptiongroup."):  # the library for Python 3.10
        name = name.removeprefix("exceptiongroup.").removeprefix("_exceptions.")
    return _MADE.sub("?", name)[:LONGEST_NAME]


def _root_cause(error: ErrorReport) -> str:
    found, number = "", 0
    for _ in range(_MOST_STEPS):
        following = next(
            (
                (index, related)
                for index, related in enumerate(error.related, start=1)
                if related.parent == number and index > number and related.relation in ("cause", "context")
            ),
            None,
        )
        if following is None:
            break
        number, related = following
        found = related.exception
    return found


def _leaves(error: ErrorReport) -> Iterator[RelatedException]:
    """Yield the members of an exception group, and of groups in it, that are not groups."""
    inside = {0}
    members = []
    for index, related in enumerate(error.related, start=1):
        if related.relation == "member" and related.parent in inside and related.parent < index:
            inside.add(index)
            members.append((index, related))
    parents = {related.parent for _, related in members}
    for index, related in members:
        if index not in parents:
            yield related


def _in_circle(error: ExceptionReport, own: list[int]) -> int:
    """Return a frame of the functions that call each other: the same, wherever in the circle the stack was full."""
    functions = {index: (error.frames[index][0], error.frames[index][2]) for index in own}
    called = list(functions.values())
    repeated = [index for index in own if called.count(functions[index]) > 1]
    return min(repeated or own, key=lambda index: (functions[index], index))


def _template(message: str) -> str:
    return cut(_REPEATED.sub("?", _VALUES.sub("?", message)).strip(), LONGEST_TEMPLATE)


def _by_file(frame: Frame) -> str:
    file, _, function = frame
    module = re.split(r"[\\/]", file)[-1].removesuffix(".py")
    return f"{module}:{function}"
