"""
The values that a tag can hold: the limits, and the types of the standard library that are kept and shown as text.

``recording`` bounds tags by it on the application's thread, and ``text`` cleans them by it before they leave the process. Imports
nothing, since the application's first request should not wait for it.
"""

from __future__ import annotations

import sys
from typing import Final

MOST_TAGS: Final = 64
"""Tags of one span; further ones are dropped."""
LARGEST: Final = 2**64
"""Integers from here on, up or down, are replaced by ``<int>``."""
LONGEST_READABLE_KEY: Final = 1_000
"""Characters of a key; every longer one is sensitive."""
KEY_READ: Final = LONGEST_READABLE_KEY + 1
"""Characters of a key that are kept and read: enough to see that it is too long."""
LONGEST_SHOWN_KEY: Final = 100
"""Characters of a key that leave the process."""

SMALL_TYPES: Final = {
    **dict.fromkeys(("datetime", "date", "time", "timedelta"), "datetime"),
    "UUID": "uuid",
}
"""Types whose objects are small, each with its module, which is not imported: a value of the type proves the import."""
PATHS: Final = dict.fromkeys(("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"), "pathlib")
PRINTED_TYPES: Final = {**SMALL_TYPES, "Decimal": "decimal", **PATHS}
"""Types that are shown as their ``str()``, which runs no foreign code."""


def is_type(module: str, name: str, kind: type) -> bool:
    """Whether it is the class of that name in a module, if that has been imported."""
    return getattr(sys.modules.get(module), name, None) is kind
