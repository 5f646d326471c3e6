"""Texts that any encoder takes and no reader chokes on: exact ``str``, no lone surrogates, bounded."""

from __future__ import annotations

from typing import Final

from scout_core.text.patterns import pattern

CUT_MARK: Final = "…"
"""Ends every text that was longer."""

_SURROGATE: Final = pattern("[\ud800-\udfff]")


def plain(text: str) -> str:
    """
    The same characters as an exact ``str``, each lone surrogate replaced by U+FFFD.

    A subclass of ``str`` may have methods of its own; none of them is called.
    """
    return _SURROGATE.sub("\ufffd", exact(text))


def exact(text: str) -> str:
    """The same characters as an exact ``str``, without calling a method of a subclass."""
    return text if type(text) is str else str.__getitem__(text, slice(None))


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and ``…`` where it has more than ``limit`` characters: then exactly ``limit``."""
    return text if len(text) <= limit else text[: limit - len(CUT_MARK)] + CUT_MARK


def beginning(text: str, limit: int) -> str:
    """
    As much of a text as is worth cleaning when ``limit`` characters of it will be shown.

    Where that is not all, the end is at least as far from the limit as a secret can hide in half: patterns
    know the first half of a longer one.
    """
    return text if len(text) <= 2 * limit else text[: 2 * limit - 64]
