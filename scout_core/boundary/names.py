"""
Names that plugins can have: letters, digits, ``_``, ``-`` and ``.``, beginning with a letter, a digit or ``_``.

A name is written in lists with commas, in patterns, on command lines, in keys of files and in variables of the environment, and
shown on terminals. A name that means something else there, such as ``*`` or ``-f``, would switch other plugins.
"""

from __future__ import annotations

import re
from typing import Final

from scout_core.problems import Problem

_VALID: Final = re.compile(r"\w[\w.-]*", re.ASCII)
_MEANINGS: Final = {
    "*": "'*', which means all plugins",
    ",": "a comma, which separates names",
    " ": "a space",
    "": "no character at all",
}
INVALID_NAME: Final = "invalid-name"
"""The kind of the problem."""


def why_invalid(name: str, module: str) -> Problem | None:
    """
    Return why a plugin cannot have this name; None when it can.

    Args:
        module: the plugin's module. A name of its letters is valid, too, in any alphabet.
    """
    if _VALID.fullmatch(name) or (name == module and all(part.isidentifier() for part in name.split("."))):
        return None
    if name.startswith(("-", ".")):
        reason = f"begins with {name[0]!r}, as options and hidden files do"
    else:
        invalid = next((character for character in name if not _VALID.fullmatch(f"a{character}")), "")
        reason = f"contains {_MEANINGS.get(invalid, _described(invalid))}"
    advice = "a name consists of letters, digits, '_', '-' and '.', and begins with a letter or digit"
    return Problem(INVALID_NAME, name, f"invalid plugin name {name!r}: it {reason}", advice)


def _described(character: str) -> str:
    return f"the character {character!r}" if character.isprintable() else f"the control character {character!a}"
