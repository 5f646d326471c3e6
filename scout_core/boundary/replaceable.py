"""Decide which objects a wrapper can replace. The reasons name the alternative, where there is one."""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any, Final

from scout_core.errors import TargetError

_LRU_CACHED: Final[type] = type(functools.lru_cache(abs))
"""Counts as a routine, but a function in its place would lack ``cache_clear``."""
_USED_BY_THE_AGENT: Final = frozenset({"builtins", "sys", __name__.partition(".")[0]})
"""
Packages whose functions run while a call is recorded: a wrapper of one would call itself, and describers would be called for
their own work. All other functions are held by the agent from its start, so replacing them elsewhere does not reach it.
"""


def check_replaceable(function: Any, owner: Any, attribute: str) -> None:  # Any: whatever a target names
    """
    Check an attribute of a module or class; a class method or static method is checked by its function.

    Raises:
        TargetError: a function cannot replace it, or must not.
    """
    name = f"{name_of(owner)}.{attribute}"
    package = _package_of(owner)
    if package in _USED_BY_THE_AGENT:
        raise TargetError(
            f"{name} cannot be wrapped: the agent itself uses {package} while it records a call; wrap the function that calls it"
        )
    if not callable(function) or isinstance(function, (type, classmethod, staticmethod)):
        raise TargetError(f"{name} is not a function")
    if not inspect.isroutine(function) or isinstance(function, _LRU_CACHED):
        raise TargetError(f"{name} is a {name_of(type(function))} object, which cannot be replaced by a function")
    if inspect.isclass(owner) and not hasattr(type(function), "__get__"):
        # A C function in a class is not bound: it would be called without the instance, and a function with it.
        raise TargetError(f"{name} does not receive its instance, so it cannot be replaced by a method")


def name_of(owner: Any) -> str:  # Any: a module or a class
    """Return the full name of a module or class."""
    return owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"


def _package_of(owner: Any) -> str:
    return str(owner.__name__ if isinstance(owner, ModuleType) else owner.__module__).partition(".")[0]
