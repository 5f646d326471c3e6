"""Arguments that a partial object has in advance, put among those of a call: headers that are among them can then be read there."""

from __future__ import annotations

import functools
from types import FunctionType, MethodType
from typing import Any, Final, cast

from scout_core.boundary.bound_calls import Function

_PLACEHOLDER: Final[object] = getattr(functools, "Placeholder", object())
"""Stands for an argument that the call gives (Python 3.14)."""


def has_presets(function: object) -> bool:
    """Whether it is a partial object."""
    return type(function) is functools.partial


def without_presets(function: Any) -> Function:  # Any: whatever can be called
    """Return the function that a partial object calls in the end; any other object is returned itself."""
    while type(function) is functools.partial:
        function = function.func
    return cast(Function, function)


# Any: whatever can be called, and its arguments.
def with_presets(
    call: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Function, tuple[Any, ...], dict[str, Any]]:
    """
    Return a call of a partial object, or of a method that is one, as the call that it makes; any other call as it is.

    The presets themselves are not changed. A call that lacks arguments stays as it is, so that it raises what it does.
    """
    while True:
        presets, receiver = _presets_of(call)
        if presets is None:
            return call, args, kwargs
        kept = sum(value is _PLACEHOLDER for value in presets.args)
        if kept > len(args):
            return call, args, kwargs
        given = iter(args)
        first = [next(given) if value is _PLACEHOLDER else value for value in presets.args]
        call, args, kwargs = presets.func, (*receiver, *first, *given), {**presets.keywords, **kwargs}


def _presets_of(call: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what has the presets of a call, or None, and the arguments that come before them."""
    if type(call) is functools.partial:
        return call, ()
    if type(call) is not MethodType:
        return None, ()
    function = call.__func__
    if type(function) is functools.partial:  # which a class binds (Python 3.14)
        return functools.partial(function, call.__self__), ()
    if type(function) is FunctionType:
        made = function.__dict__.get("__partialmethod__", function.__dict__.get("_partialmethod"))
        if type(made) is functools.partialmethod:  # of an object that a class does not bind
            return made, (call.__self__,)
    return None, ()
