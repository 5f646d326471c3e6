"""A value with its origin, the choice between several values, and problems of invalid ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from attrs import frozen

from scout_core.classes import class_path
from scout_core.config.durations import Seconds
from scout_core.config.origin import DEFAULT, Origin
from scout_core.problems import Problem
from scout_core.signals import is_from_outside
from scout_core.suggest import did_you_mean
from scout_core.text.plain import text_of

_SECRET: Final = re.compile(
    r"token|secret|passw|pwd|credential|(?<![a-z])(?:key|auth|pass|dsn)(?![a-z])", re.IGNORECASE
)
_MAY_BE_SECRET: Final = re.compile("[@?#]")
"""In an address: a user with a password, a query, a fragment."""
_LONGEST: Final = 100
LONGEST_REASON: Final = 500
"""Characters of the reason why a plugin refuses a value."""


@frozen(eq=False)
class Value:
    """A value and where it was set."""

    key: str
    value: Any  # Any: each option has its own type
    origin: Origin


def first_usable(
    candidates: Iterable[Value],
    *,
    convert: Callable[[Any], Any],
    default: Value,
    problems: list[Problem],
    written: Callable[[Any], str] | None = None,
) -> Value:
    """
    Return the first value that can be converted, else the default.

    Args:
        candidates: strongest first.
        problems: gets a problem for each value that was refused.
        written: writes the default as a person does; None: in Python's notation.
    """
    chosen, refused = default, []
    for candidate in candidates:
        try:
            chosen = Value(candidate.key, convert(candidate.value), candidate.origin)
            break
        except BaseException as error:  # values in code can be any object; a plugin may bring the converter
            if is_from_outside(error):
                raise
            is_ours = type(error) is ValueError
            reason = text_of(error, LONGEST_REASON) if is_ours else f"it raised {type(error).__name__}"
            refused.append((candidate, reason))
    problems.extend(invalid(value, reason, instead=chosen, written=written) for value, reason in refused)
    return chosen


def invalid(value: Value, reason: str, *, instead: Value, written: Callable[[Any], str] | None = None) -> Problem:
    """
    Return the problem of an invalid value.

    Args:
        reason: what was expected.
        instead: the value that is used in its place.
        written: as in ``first_usable``.
    """
    used = "the default, " if instead.origin is DEFAULT else f"the value from {instead.origin}"
    if instead.origin is DEFAULT:
        used += show(value.key, instead.value, written)
    return Problem(
        "invalid-value",
        value.key,
        f"invalid value {show(value.key, value.value)} for {value.key} ({value.origin}); {reason}; using {used}",
    )


def unknown(name: str, origin: Origin, known: Iterable[str], *, prefix: str = "") -> Problem:
    """
    Return the problem of an option that does not exist.

    Args:
        prefix: a beginning that this name and all known names have.
    """
    keys = list(known)
    hint = did_you_mean(name, keys, prefix=prefix) or did_you_mean(name.rpartition(".")[2], keys, prefix=prefix)
    return Problem(
        "unknown-option",
        name,
        f"unknown option {name} ({origin}) is ignored",
        hint or "see 'scout-core config' for all options",
    )


def show(key: str, value: object, written: Callable[[Any], str] | None = None) -> str:
    """Represent a value for a person; ``…`` when its key suggests a secret, or it is an address with a password."""
    if is_secret(key):
        return "…"
    try:
        text = repr(as_written(value)) if written is None or value is None else written(value)
    except BaseException as error:  # what was given in code can be any object
        if is_from_outside(error):
            raise
        return f"<{type(value).__name__}>"
    return "…" if "://" in text and _MAY_BE_SECRET.search(text) else text_of(text[:_LONGEST], _LONGEST)


def as_written(value: Any) -> Any:  # Any: each option has its own type
    """Return a value as a person writes it in the file: text, numbers, lists and tables; other objects are returned as they are."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    if isinstance(value, type) and issubclass(value, BaseException):
        return class_path(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, Mapping):
        return {as_written(key): as_written(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(as_written, value), key=repr)
    if type(value) in (list, tuple):
        return type(value)(map(as_written, value))
    if hasattr(type(value), "total_seconds"):
        return Seconds(value.total_seconds())
    from scout_core.config.library_types import library_kind  # not needed at start: the core has no such option

    kind = library_kind(type(value))
    return value if kind is None or kind.written is None else kind.written(value)


def is_secret(key: str) -> bool:
    """Whether the name of an option suggests that its value must not be shown."""
    return _SECRET.search(key) is not None
