"""Decide which objects can be replaced. The reasons name the alternative, where there is one."""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any, Final

from scout_core.errors import TargetError

_USED_BY_THE_AGENT: Final = frozenset({"builtins", "sys", __name__.partition(".")[0]})
"""
Packages whose functions run while a call is recorded: a wrapper of one would call itself, and describers would be called for
their own work. All other functions are held by the agent from its start, so replacing them elsewhere does not reach it.
"""


def check_replaceable(raw: Any, owner: Any, attribute: str) -> None:  # Any: whatever a target names
    """
    Check an attribute of a module or class, as its ``__dict__`` has it.

    Raises:
        TargetError: it is nothing that can be called, or must not be replaced.
    """
    name = f"{name_of(owner)}.{attribute}"
    package = _package_of(raw if isinstance(owner, ModuleType) and issubclass(type(raw), type) else owner)
    if package in _USED_BY_THE_AGENT:
        raise TargetError(
            f"{name} cannot be wrapped: the agent itself uses {package} while it records a call; wrap the function that calls it"
        )
    kind = type(raw)
    if issubclass(kind, property):
        raise TargetError(f"{name} is a property, which is read and not called; wrap a function that it calls")
    if issubclass(kind, functools.cached_property):
        raise TargetError(
            f"{name} is a cached property, which is read and not called; wrap a function that it calls, or time the function in it"
        )
    if not _is_called(raw, owner):
        raise TargetError(f"{name} is not a function")
    if inspect.isclass(owner) and hasattr(kind, "__set__"):
        raise TargetError(
            f"{name} is a data descriptor, which decides itself what reading it gives; wrap what it calls"
        )


def _is_called(raw: Any, owner: Any) -> bool:  # Any: whatever a target names
    """Whether it can be called, or gives something that can when it is read from an object of the class."""
    kind = type(raw)
    if issubclass(kind, (classmethod, staticmethod)):
        return callable(raw.__func__)
    if callable(raw):
        return True
    if not inspect.isclass(owner) or not hasattr(kind, "__get__"):
        return False
    try:
        bound = kind.__get__(raw, None, owner)
    except Exception:  # noqa: BLE001  # code of the library; what cannot be read from the class is not wrapped
        return False
    # Most descriptors give themselves to those who read them from the class. Then only an object can show whether they are called.
    return callable(bound) or (bound is raw and not hasattr(kind, "__set__"))


def name_of(owner: Any) -> str:  # Any: a module, a class or an object
    """Return the full name of a module or class; for any other object, that of its class."""
    if isinstance(owner, ModuleType):
        return owner.__name__
    kind = owner if isinstance(owner, type) else type(owner)
    return f"{kind.__module__}.{kind.__qualname__}"


def _package_of(owner: Any) -> str:
    return name_of(owner).partition(".")[0]
