"""Facts of a class, read without running code of it or of its metaclass, which may raise even for ``kind.__mro__``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

bases_of: Final[Callable[[type], tuple[type, ...]]] = type.__dict__["__mro__"].__get__
"""The class and those that it inherits from, in the order in which they are searched."""
own_names: Final[Callable[[type], Mapping[str, Any]]] = type.__dict__["__dict__"].__get__
"""The names that a class itself defines."""


_module: Final[Callable[[type], str]] = type.__dict__["__module__"].__get__
_qualified_name: Final[Callable[[type], str]] = type.__dict__["__qualname__"].__get__


def class_path(kind: type) -> str:
    """``sqlalchemy.exc.IntegrityError``; built-in ones without their module."""
    module, name = _module(kind), exact(_qualified_name(kind))  # not `kind.__module__`: a metaclass may raise for it
    if not issubclass(type(module), str):
        return name
    module = exact(module)
    return name if module == "builtins" else f"{module}.{name}"


def attribute_of(kind: type, name: str) -> Any:  # Any: a function, a descriptor, or anything else
    """Return what a class or the first of its bases defines under a name, as it is there; None if none of them does."""
    for base in bases_of(kind):
        names = own_names(base)
        if name in names:
            return names[name]
    return None


def can_be_iterated(kind: type) -> bool:
    """Whether Python can iterate over objects of a class."""
    return attribute_of(kind, "__iter__") is not None or attribute_of(kind, "__getitem__") is not None


def exact(text: str) -> str:
    """Return the same characters as an exact ``str``, without calling a method of a subclass."""
    return text if type(text) is str else str.__getitem__(text, slice(None))
