"""
Names that the application lists in ``filtered_names``: found in keys and in texts, whatever their spelling and their language.

The value of such a name is personal, so more of a text is removed than after other secrets: everything up to the next comma,
semicolon, ``&``, bracket or line. Brackets are removed with all that they contain.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from scout_core.text.brackets import CLOSED, OPEN, end_of_brackets, end_of_quoted
from scout_core.text.patterns import pattern

# Where a word begins in camel case: `userAuth`, `HTTPAuth`.
CAMEL: Final = pattern(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = pattern(r"[^\W_]+")
_ENDS: Final = f",;&<>\r\n{CLOSED}"
"""Each ends a value outside of brackets and quotes."""
_QUOTED: Final = pattern(r"[bBfFrRuU]{0,2}(?P<quote>\\*[\"'])")

_name: re.Pattern[str] | None = None
"""Finds one of the names."""
_assigned: re.Pattern[str] | None = None
"""Finds one of them with what may follow it up to its value."""
_caches: Final[list[Callable[[], None]]] = []
"""Functions that clear what was computed with other names."""


def filter_names(names: Iterable[str]) -> None:
    """Let the values of these names be secret, and of no other names that were listed before. A name without a letter is left out."""
    global _name, _assigned
    listed = [form for name in names for form in _forms(name)]
    of_names = f"(?:{'|'.join(sorted(listed, key=len, reverse=True))})s?[0-9]*"
    _name = re.compile(of_names, re.IGNORECASE) if listed else None
    _assigned = re.compile(
        rf"(?P<name>{of_names})[\w.\[\]-]{{0,50}}\\*[\"']?\]?\s{{0,4}}(?:=>|:=|=(?!=\s)|:(?!:))\s{{0,4}}", re.IGNORECASE
    ) if listed else None  # fmt: skip
    for clear in _caches:
        clear()


def forgets_with_names(clear: Callable[[], None]) -> None:
    """Call a function whenever other names are listed."""
    _caches.append(clear)


def is_listed(key: str) -> bool:
    """Whether the words of a listed name are among those of this one: ``customer_iban`` and ``ibans`` where ``iban`` is listed."""
    return _name is not None and any(_is_word(key, *found.span()) for found in _name.finditer(key))


def without_listed(text: str, replacement: str) -> str:
    """Return a text with a replacement for each value of a listed name: ``iban=…``, ``'birthDate': …``, ``birth date: …``."""
    if _assigned is None:
        return text
    parts: list[str] = []
    done = 0
    for found in _assigned.finditer(text):
        if found.start() < done or not _is_word(text, *found.span("name")):
            continue
        start, end = _value(text, found.end())
        if start < end:
            parts += text[done:start], replacement
            done = end
    return "".join([*parts, text[done:]])


def _forms(name: str) -> list[str]:
    """Return patterns of a name: its words, with or without one character between them, in both forms of letters with accents."""
    words = _WORD.findall(unicodedata.normalize("NFC", CAMEL.sub("_", name)))
    forms = dict.fromkeys(
        tuple(unicodedata.normalize(form, word) for word in words) for form in ("NFC", "NFD") if words
    )
    return [r"[\W_]?".join(map(re.escape, form)) for form in forms]


def _is_word(text: str, start: int, end: int) -> bool:
    """Whether a part of a text is not within a word: no letter or digit is beside it, or a word of camel case begins there."""
    before, after = text[start - 1 : start], text[end : end + 1]
    begins = not before.isalnum() or (before != before.upper() and text[start].isupper()) or before.isdigit()
    ends = not after.isalnum() or (after.isupper() and text[end - 1] != text[end - 1].upper())
    return begins and ends


def _value(text: str, start: int) -> tuple[int, int]:
    """Return where the value that begins there starts and ends, without its quotes."""
    quoted = _QUOTED.match(text, start)
    if quoted is not None:
        return quoted.end(), end_of_quoted(text, quoted.end(), quoted["quote"])
    end = start
    while end < len(text) and text[end] not in _ENDS:
        end = end_of_brackets(text, end) if text[end] in OPEN else end + 1
    return start, start + len(text[start:end].rstrip())
