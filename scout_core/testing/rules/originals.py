"""Snapshots of the callables in modules and classes, to find what was not restored."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

Originals = dict[str, tuple[Any, str, Any]]
"""``module:Class.attribute`` to owner, attribute and object, for everything callable."""

_KINDS: Final = (classmethod, staticmethod, property)
_ROUTINES: Final = (FunctionType, BuiltinFunctionType, MethodType, functools.partial, type(functools.cache(str)))


def originals(packages: Iterable[str]) -> Originals:
    """Take a snapshot of all modules of these packages, and of the classes in them."""
    found: Originals = {}
    tops = set(packages)
    # Look at the type only: a proxy like flask.request would answer for its target, or raise.
    for name, module in tuple(sys.modules.items()):
        if name.partition(".")[0] not in tops or not inspect.ismodule(module):
            continue
        for attribute, value in tuple(vars(module).items()):
            kind = type(value)
            if issubclass(kind, (type, *_ROUTINES)):
                found[f"{name}:{attribute}"] = module, attribute, value
            if issubclass(kind, type) and str(value.__module__).partition(".")[0] in tops:
                for inner, member in tuple(vars(value).items()):
                    if callable(member) or issubclass(type(member), _KINDS):
                        found[f"{value.__module__}:{value.__qualname__}.{inner}"] = value, inner, member
    return found


def all_originals(ours: Iterable[str], packages: Iterable[str]) -> Originals:
    """
    Take a snapshot of everything that is imported.

    Args:
        ours: top-level packages of the plugin and of the core, which have state of their own and are left out.
        packages: packages of the library; included even if they are the plugin's own.
    """
    return originals({name.partition(".")[0] for name in tuple(sys.modules)} - set(ours) | set(packages))


def changed(before: Originals, after: Originals, ours: Iterable[str]) -> Iterator[str]:
    """
    Return a message for each difference.

    Args:
        ours: top-level packages of the plugin and of the core. Additions count only if they come from these.
    """
    for name, (owner, attribute, value) in before.items():
        now = vars(owner).get(attribute, None)
        if now is not value:
            yield f"{name} is {_described(now)}, not the original {type(value).__name__}"
    for name in after.keys() - before.keys():
        member: Any = after[name][2]
        function = inspect.unwrap(
            getattr(member, "__func__", None) or member, stop=lambda wrapped: _is_of(wrapped, ours)
        )
        if _is_of(function, ours):
            yield f"{name} is {_described(member)} that did not exist before"


def _is_of(function: object, packages: Iterable[str]) -> bool:
    if not isinstance(function, FunctionType):
        return False
    return function.__globals__.get("__name__", "").partition(".")[0] in packages


def _described(now: object) -> str:
    function = getattr(now, "__func__", now)
    place = function.__globals__.get("__name__") if isinstance(function, FunctionType) else None
    return f"a {type(now).__name__}{f' made in {place}' if place else ''}" if now is not None else "gone"
