"""Import the module of a plugin, from where applications import theirs."""

from __future__ import annotations

import importlib
import os
import re
import sys
from types import ModuleType

from scout_core.fork_lock import importing


def import_plugin(name: str, *, is_named: bool) -> ModuleType:
    """
    Import a module. One that the user named may also be next to the program or in the working directory.

    Under ``scout-core run`` the agent starts before Python puts the program's folder on ``sys.path``.
    """
    if not is_named:
        with importing:  # not where the user named it: that may import the whole application
            return importlib.import_module(name)
    program = sys.argv[0] if getattr(sys, "argv", None) else ""
    folders = [os.path.dirname(os.path.abspath(program))] if os.path.isfile(program) else []
    added = [folder for folder in dict.fromkeys([*folders, os.getcwd()]) if folder not in sys.path]
    sys.path.extend(added)
    try:
        return importlib.import_module(name)
    finally:
        for folder in added:
            sys.path.remove(folder)


def name_of(named: str | ModuleType) -> str:
    """
    Return the name of a module that the user named, or passed.

    An object without a name, such as an instance of a class, is named after its class and its address: ``shop.Notes-7f95dbcb2250``.
    """
    if isinstance(named, str):
        return named
    name = getattr(named, "__name__", None)
    if isinstance(name, str):
        return name
    kind = type(named)
    return re.sub(r"[^\w.-]", "_", f"{kind.__module__}.{kind.__name__}", flags=re.ASCII) + f"-{id(named):x}"


def search_path() -> list[str]:
    """Return the folders that are searched for plugins."""
    return list(sys.path)
