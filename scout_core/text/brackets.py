"""The ends of brackets and quotes in a text."""

from __future__ import annotations

from typing import Final

OPEN: Final = "([{"
CLOSED: Final = ")]}"


def end_of_brackets(text: str, start: int) -> int:
    """Return the end of the brackets that begin at a place, with all that they contain; the end of the text if they are never closed."""
    depth, end = 0, start
    while end < len(text):
        sign = text[end]
        if sign in OPEN:
            depth += 1
        elif sign in CLOSED:
            depth -= 1
            if not depth:
                return end + 1
        elif sign in "\"'":
            end = end_of_quoted(text, end + 1, sign)
        end += 1
    return len(text)


def end_of_quoted(text: str, start: int, quote: str) -> int:
    """Return the place of the closing quote; the end of the text without one."""
    end = text.find(quote, start)
    while end > start and len(quote) == 1 and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    return len(text) if end < 0 else end
