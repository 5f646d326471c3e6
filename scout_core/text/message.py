"""
The message of an exception without the data in it.

Databases repeat their input: ``Duplicate entry 'ann@example.com' for key 'email'``, ``Key (email)=(ann@example.com)
already exists``, ``invalid input syntax for type integer: "hunter2"``. So does Python: ``could not convert string to float: 'hunter2'``.
"""

from __future__ import annotations

import re
from typing import Final

from scout_core.text.links import clean_paths, clean_urls
from scout_core.text.patterns import pattern
from scout_core.text.plain import beginning, cut, exact
from scout_core.text.secrets import looks_random, scrub

UNREADABLE: Final = "<message could not be read>"
LONGEST: Final = 300
"""Characters of a message."""
_MOST_READ: Final = 10_000

# Further lines are details, which databases fill with values.
_FIRST_LINE: Final = pattern(r"\s*([^\r\n]*)")

# Python's repr() of str and bytes, and typographic quotes. An apostrophe within a word is not a quote: `can't`, `'O'Brien'`.
_QUOTED: Final = pattern(
    r"(?<!\w)[bBfFrRuU]{0,2}(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.|'(?=\w))*)'(?!\w))"
    r"|“[^”]*”|‘(?:[^’]|’(?=\w))*’|«[^»]*»"
)
_ANY_QUOTE: Final = pattern("[\"'“”‘’«»]")
# A quote that _QUOTED left over: it has no partner, so the others may have been paired wrongly.
_LEFT_OVER: Final = pattern(r"[\"“”«»]|(?<!\w)'|'(?!\w)")
# PostgreSQL: `Key (email)=(…) already exists`. SQL Server: `The duplicate key value is (…).`
_IN_PARENTHESES: Final = pattern(r"(?<=\)=\().*(?=\))|(?<=\)=\()[^)]+|(?<=value is \().*(?=\))|(?<=value is \()[^)]+")

# A dotted name, or one with hyphens, as keys of dictionaries are.
_NAME: Final = pattern(r"[A-Za-z_][A-Za-z0-9_.-]{0,40}")
# They quote a name in the program: the missing key, the attribute, the module.
_NAMING: Final = (LookupError, AttributeError, NameError, ImportError)


def error_message(error: BaseException) -> str:
    """
    Return the first line of ``str(error)``, each quoted literal replaced by ``?``, secrets replaced by ``[FILTERED]``.

    URLs and paths are shown without query, fragment and user.

    A lookup error, and an error about an attribute, a name or a module, keeps a quoted text that looks like a name:
    ``KeyError('plan')`` is ``'plan'``, ``KeyError('ann@example.com')`` is ``?``.

    Returns:
        At most 300 characters; ``<message could not be read>`` when ``str(error)`` raises. Never raises.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  foreign code: the exception may define __str__
        return UNREADABLE
    return masked_message(text, type(error))


def masked_message(text: str, kind: type[BaseException]) -> str:
    """
    Return the same for the text of an exception.

    Args:
        kind: its class.
    """
    found = _FIRST_LINE.match(exact(text)[:_MOST_READ])
    line = beginning(found[1], LONGEST) if found else ""
    # Before the names of values are masked, as those of `{'salary': 85000}`, and after it.
    masked = _IN_PARENTHESES.sub("?", _without_literals(scrub(line), keep_names=issubclass(kind, _NAMING)))
    return cut(clean_paths(clean_urls(scrub(masked))), LONGEST)


def masked_note(text: str) -> str:
    """Return the same for a note that was added to an exception."""
    return masked_message(text, Exception)


def _without_literals(line: str, *, keep_names: bool) -> str:
    masked = _QUOTED.sub("?", line)
    if _LEFT_OVER.search(masked):  # quotes were paired wrongly: `entry 'O' Brien' for key 'name'`
        return f"{_ANY_QUOTE.split(line, maxsplit=1)[0]}?"
    return _QUOTED.sub(_unless_a_name, line) if keep_names else masked


def _unless_a_name(found: re.Match[str]) -> str:
    text = found["double"] or found["single"] or ""
    return found[0] if _NAME.fullmatch(text) and not looks_random(text) and scrub(text) == text else "?"
