"""
The call of a class, as a target: ``module:Class``.

An object that is not the class cannot take its place: ``except Class``, ``type(x) is Class`` and pickling its objects would fail. So
the method that sets up the object is wrapped, and a describer gets the arguments that the class was called with.
"""

from __future__ import annotations

import functools
from typing import Any

from scout_core.boundary.bound_calls import BoundCall, Function, Original, bound_call_of
from scout_core.errors import TargetError


def constructor_of(kind: type, name: str) -> str:
    """
    Return the name of the method that sets up objects of a class.

    Args:
        name: of the class, for messages.

    Raises:
        TargetError: no method of the class runs when it is called.
    """
    meta = type(kind)
    if "__call__" in _names_of(meta, type):
        place = f"{meta.__module__}:{meta.__qualname__}.__call__"
        raise TargetError(f"{name} is a class whose metaclass decides what a call does; wrap {place}")
    names = _names_of(kind, object)
    if "__init__" in names:
        return "__init__"
    if "__new__" in names:
        return "__new__"
    raise TargetError(f"{name} has neither __init__ nor __new__, so nothing runs when it is called")


def original_constructor(raw: Any) -> Original:  # Any: a function, or a method written in C
    """Return the method as a function for a wrapper: a describer gets neither the object nor the class."""
    function = getattr(raw, "__func__", raw)
    original = bound_call_of(_construct, function)
    functools.update_wrapper(original.function, function)
    original.is_constructor = True
    return original


def constructing(original: Original, timed: Function, attribute: str) -> Any:  # Any: whatever the class has there
    """
    Return the method that replaces the original.

    Args:
        timed: takes what ``original.function`` takes.
        attribute: ``__init__`` or ``__new__``.
    """
    function = original.raw

    @functools.wraps(function)
    def init(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        outcome = None

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal outcome
            outcome = function(self, *args, **kwargs)
            return self

        timed(BoundCall(call, ()), *args, **kwargs)
        return outcome

    @functools.wraps(function)
    def new(cls: Any, /, *args: Any, **kwargs: Any) -> Any:
        return timed(BoundCall(functools.partial(function, cls), ()), *args, **kwargs)

    return init if attribute == "__init__" else staticmethod(new)


def _construct() -> None:
    """The kind of every constructor: it is neither ``async`` nor a generator function."""


def _names_of(kind: type, end: type) -> set[str]:
    return {name for base in kind.__mro__ if base is not end and base is not object for name in vars(base)}
