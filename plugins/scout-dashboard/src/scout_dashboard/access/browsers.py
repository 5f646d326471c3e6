"""The name of a browser as a person knows it, from its ``User-Agent``."""

from __future__ import annotations

import re
from typing import Final

_BROWSERS: Final = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:Chrome|Chromium|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\S+ )?Safari/"),
)
"""In this order: most browsers also claim to be those below."""
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iOS", "iPhone|iPad"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X"),
    ("ChromeOS", "CrOS"),
    ("Linux", "Linux"),
)
_LONGEST: Final = 60


def describe_browser(user_agent: str) -> str:
    """``Firefox 145 on Linux``; the start of the header for a program that is not known."""
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, user_agent)), "")
    for name, pattern in _BROWSERS:
        if found := re.search(pattern, user_agent):
            return f"{name} {found[1][:6]}" + (f" on {system}" if system else "")
    shown = "".join(character for character in user_agent if character.isascii() and character.isprintable())
    return shown[:_LONGEST].strip() or "unknown"
