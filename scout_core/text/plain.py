"""Texts that every encoder and every terminal accepts: exact ``str``, without lone surrogates, bounded in length, all visible."""

from __future__ import annotations

from typing import Final

from scout_core.classes import exact as exact
from scout_core.signals import is_from_outside
from scout_core.text.patterns import pattern

CUT_MARK: Final = "…"
"""The last character of a text that was shortened."""
UNPRINTABLE: Final = "<unprintable exception>"

# Lone surrogates: UTF-8 cannot encode them (Unicode 15, section 3.9, D92).
_SURROGATE: Final = pattern("[\ud800-\udfff]")


def plain(text: str) -> str:
    """
    Return the same characters as an exact ``str``, each lone surrogate replaced by U+FFFD.

    A subclass of ``str`` may override methods; none of them is called.
    """
    return _SURROGATE.sub("\ufffd", exact(text))


def cut(text: str, limit: int) -> str:
    """Return the text; a text longer than ``limit`` is shortened to exactly ``limit`` characters that end with ``…``."""
    return text if len(text) <= limit else text[: limit - len(CUT_MARK)] + CUT_MARK


def beginning(text: str, limit: int) -> str:
    """
    Return as much of a text as must be cleaned when ``limit`` characters of it will be shown.

    A secret that is cut in two at the end of this part is not recognised. Hence the part is longer than the limit, by more
    than any secret whose first half would not be recognised.
    """
    return text if len(text) <= 2 * limit else text[: 2 * limit - 64]


def visible(text: str) -> str:
    """
    Return the text with an escape such as ``\\x1b`` in place of each character that a terminal obeys or does not show.

    These are control characters, line breaks, marks that change the direction of writing, characters of no width, and all others
    that are not printable: a text cannot imitate other output. A tab becomes a space.
    """
    text = exact(text)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text.replace("\t", " ")
    )


def text_of(anything: object, limit: int) -> str:
    """
    Return what ``str()`` makes of an object of a plugin or of the application, on one visible line of at most ``limit`` characters.

    Returns:
        ``<unprintable exception>`` when ``str()`` raises. Only what came from outside, such as Ctrl-C, is raised.
    """
    try:
        text = exact(str(anything))
    except BaseException as error:
        if is_from_outside(error):
            raise
        return UNPRINTABLE
    return cut(visible(text[: limit + 1]), limit)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
