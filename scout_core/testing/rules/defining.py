"""The module that defines what a target names. A re-export is whatever other code has put there by the time the agent starts."""

from __future__ import annotations

import functools
import inspect
import sys
from types import FunctionType, ModuleType
from typing import Any


def defining_name(target: str) -> str | None:
    """
    Return the target under the module that defines it; None if that is the one it names, or is not known.

    The code decides, and not ``__module__``, which libraries set to the name that they want to show.

    Args:
        target: ``module:Class.method`` or ``module:function``. Its module must have been imported.
    """
    module, _, path = target.partition(":")
    first, _, rest = path.partition(".")
    found: Any = getattr(sys.modules.get(module), "__dict__", {}).get(first)
    if isinstance(found, ModuleType) and rest:
        inner = f"{found.__name__}:{rest}"
        return (defining_name(inner) or inner) if sys.modules.get(found.__name__) is found else None
    defining = _defining_module(found)
    if defining is None or defining == module or not _is_in(defining, found):
        return None
    return f"{defining}:{found.__qualname__}{f'.{rest}' if rest else ''}"


def _defining_module(found: Any) -> str | None:  # Any: whatever the module has under that name
    if isinstance(found, FunctionType):
        return _module_of_code(found)
    if not isinstance(found, type):
        return None
    for member in vars(found).values():
        function = inspect.unwrap(getattr(member, "__func__", member))
        if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{found.__qualname__}."):
            module = _module_of_code(function)
            if module is not None and _is_in(module, found):
                return module
    return found.__module__


def _module_of_code(function: FunctionType) -> str | None:
    name = inspect.unwrap(function).__globals__.get("__name__")
    return name if isinstance(name, str) else None


def _is_in(module: str, found: Any) -> bool:
    """Whether a module has the object under the object's own name."""
    owner: Any = sys.modules.get(module)
    return (
        functools.reduce(
            lambda inner, name: getattr(inner, "__dict__", {}).get(name), found.__qualname__.split("."), owner
        )
        is found
    )
