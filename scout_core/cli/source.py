"""Which line of a plugin is at fault, and what stands there."""

from __future__ import annotations

import importlib
import linecache
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from types import FunctionType, ModuleType, TracebackType
from typing import Final

from attrs import frozen

from scout_core.boundary.hooks import Hooks
from scout_core.boundary.plugin import Plugin
from scout_core.errors import PluginError
from scout_core.hookspecs import PROJECT
from scout_core.measuring.report import PluginStatus

_PLACE: Final = re.compile(r" at (?P<file>[^\n]+?):(?P<line>\d+)(?: in (?P<function>[\w<>.]+))?(?:; .*)?$")
"""As a guard ends the text of a last error; what to do may follow."""
_IMPORT_MACHINERY: Final = ("<frozen ", importlib.__file__)


@frozen
class Place:
    """One line of code."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where} in {self.function}" if self.function else where

    def source(self) -> str:
        """Three lines with a mark at the one that is meant; empty when they cannot be read."""
        around = [(number, linecache.getline(self.file, number)) for number in range(self.line - 1, self.line + 2)]
        if not linecache.getline(self.file, self.line):
            return ""
        return "\n".join(
            f"{'>' if number == self.line else ' '} {number:4}  {text.rstrip()}" for number, text in around if text
        )


def place_at_fault(plugin: Plugin, status: PluginStatus) -> Place | None:
    """Where a plugin failed: raised in a call, or when it was imported, or has a function that is no hook."""
    for text in (status.last_error, status.reason):
        place = place_in(text or "")
        if place is not None:
            return place
    return _place_of_failed_load(plugin) if status.state == "failed" else None


def place_in(text: str) -> Place | None:
    """The place that a last error ends with."""
    found = _PLACE.search(text)
    return Place(found["file"], int(found["line"]), found["function"] or "") if found else None


def _place_of_failed_load(plugin: Plugin) -> Place | None:
    with redirect_stdout(sys.stderr):
        try:
            module = importlib.import_module(plugin.module)  # what failed once fails again
        except SyntaxError as error:
            return Place(error.filename, error.lineno) if error.filename and error.lineno else None
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's own code runs here
            return _innermost(error.__traceback__)
    return next(_misfits(module), None)


def _innermost(trace: TracebackType | None) -> Place | None:
    """The last line that is not part of the import system: of the plugin, or of what it imports."""
    place = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith(_IMPORT_MACHINERY) and code.co_filename != __file__:
            place = Place(code.co_filename, trace.tb_lineno, "" if code.co_name == "<module>" else code.co_name)
        trace = trace.tb_next
    return place


def _misfits(module: ModuleType) -> Iterator[Place]:
    """Functions that are marked as a hook and cannot be one."""
    for name, member in vars(module).items():
        if type(member) is FunctionType and hasattr(member, f"{PROJECT}_impl"):
            alone = ModuleType(name)
            setattr(alone, name, member)
            try:
                Hooks().register(alone, name)
            except PluginError:
                code = member.__code__
                yield Place(code.co_filename, _line_of_def(code.co_filename, code.co_firstlineno), name)


def _line_of_def(file: str, first: int) -> int:
    """The line of the ``def``: a function's first line is its first decorator's."""
    for number in range(first, first + 20):
        if re.match(r"\s*(?:async\s+)?def\b", linecache.getline(file, number)):
            return number
    return first


def file_of(plugin: Plugin) -> str:
    """The module's file, found without importing it; empty when there is none."""
    from importlib.util import find_spec

    loaded = getattr(sys.modules.get(plugin.module), "__file__", None)
    if loaded:
        return str(loaded)
    if "." in plugin.module:  # to find it would import the package around it
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
