"""The line of a plugin that failed, with the source around it."""

from __future__ import annotations

import linecache
import os
import re
import sys
from typing import Final

from attrs import frozen

from scout_core.boundary.plugin import Plugin

_MOST_DECORATOR_LINES: Final = 20


@frozen
class Place:
    """One line of code."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where} in {self.function}" if self.function and self.function != "<module>" else where

    def source(self) -> list[str]:
        """Return three lines with a mark at this one; empty when they cannot be read."""
        around = [(number, linecache.getline(self.file, number)) for number in range(self.line - 1, self.line + 2)]
        if not linecache.getline(self.file, self.line):
            return []
        return [
            f"{'>' if number == self.line else ' '} {number:4}  {text.rstrip().expandtabs(4)}"
            for number, text in around
            if text
        ]


def place_of(file: str, line: int, function: str = "") -> Place:
    """Return the place of a frame. A function that could not be registered begins at its decorator; its ``def`` is shown."""
    if linecache.getline(file, line).lstrip().startswith("@"):
        for number in range(line + 1, line + _MOST_DECORATOR_LINES):
            if re.match(r"\s*(?:async\s+)?def\b", linecache.getline(file, number)):
                return Place(file, number, function)
    return Place(file, line, function)


def file_of(plugin: Plugin) -> str:
    """Return the module's file, found without importing it; empty when it has no file."""
    from importlib.util import find_spec

    loaded = getattr(sys.modules.get(plugin.module), "__file__", None)
    if loaded:
        return str(loaded)
    if "." in plugin.module:  # finding it would import its package
        return ""
    path = sys.path.copy()
    sys.path.append(os.curdir)
    try:
        spec = find_spec(plugin.module)
    except (ImportError, ValueError):
        return ""
    finally:
        sys.path[:] = path
    return spec.origin or "" if spec else ""
