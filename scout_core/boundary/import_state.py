"""
Whether modules can still be imported after a plugin was, and how to put that right.

Only commands and checks use it, in processes of their own: an application is left as its plugins made it.
"""

from __future__ import annotations

import builtins
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from attrs import define, field

_CANDIDATES: Final = ("sched", "fileinput", "colorsys", "cmd", "graphlib", "sndhdr", "nturl2path")
"""Small modules of the standard library; the first one that is not loaded is looked for."""
_NEEDED: Final = ("sys", "builtins", "scout_core")
LOWEST_RECURSION_LIMIT: Final = 250
"""Below it, imports fail by themselves: the limit of a new interpreter is 1000."""


@define(eq=False)
class ImportState:
    """A snapshot of everything that imports depend on."""

    path: list[str] = field(init=False, factory=lambda: list(sys.path))
    meta_path: list[Any] = field(init=False, factory=lambda: list(sys.meta_path))  # Any: finders
    path_hooks: list[Any] = field(init=False, factory=lambda: list(sys.path_hooks))
    modules: dict[str, ModuleType] = field(init=False, factory=lambda: dict(sys.modules))
    names: dict[str, Any] = field(init=False, factory=lambda: dict(vars(builtins)))
    recursion_limit: int = field(init=False, factory=sys.getrecursionlimit)

    def broken_thing(self) -> str:
        """Return what now keeps modules from being imported, by its name; empty while they can be."""
        if sys.getrecursionlimit() < min(LOWEST_RECURSION_LIMIT, self.recursion_limit):
            return "the recursion limit"
        if any(sys.modules.get(name) is not self.modules[name] for name in _NEEDED if name in self.modules):
            return "sys.modules"
        if _can_import(self.modules):
            return ""
        if any(vars(builtins).get(name) is not value for name, value in self.names.items()):
            return "the builtins"
        for name in ("meta_path", "path_hooks", "path"):
            if [*map(id, getattr(sys, name))] != [*map(id, getattr(self, name))]:
                return f"sys.{name}"
        return "the import system"

    def restore(self) -> None:
        """Put everything back; modules that were loaded since stay."""
        vars(builtins).update(self.names)
        sys.setrecursionlimit(max(self.recursion_limit, sys.getrecursionlimit()))
        sys.modules.update(self.modules)
        sys.path[:], sys.meta_path[:], sys.path_hooks[:] = self.path, self.meta_path, self.path_hooks
        sys.path_importer_cache.clear()


def _can_import(loaded: dict[str, ModuleType]) -> bool:
    try:
        name = next(name for name in _CANDIDATES if name not in sys.modules and name not in loaded)
        return find_spec(name) is not None and builtins.__import__("sys") is sys
    except StopIteration:
        return True
    except BaseException:  # noqa: BLE001  # a finder of a plugin may raise anything
        return False
