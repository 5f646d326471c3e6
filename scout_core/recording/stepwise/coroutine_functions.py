"""
Replacements of coroutine functions: a call with wrong arguments raises at once, as a call of the original does.

The replacement itself is async and takes any arguments, so Python would compare them only when its coroutine is awaited. Servers
find out what an application is by such a call: uvicorn tries ``app()``, and takes what does not raise for a factory.

Hot code: it runs at every call, before the coroutine of the replacement is made.
"""

from __future__ import annotations

import functools
import sys
from inspect import CO_COROUTINE, CO_VARARGS
from types import FunctionType, MethodType
from typing import Any, Final

from scout_core.recording.stepwise.function_like import Function, FunctionLike

_CHECKED: Final = "_scout_core_checked"
"""
Attribute of a replacement: itself, because ``functools.wraps`` copies attributes, and the function that knows which arguments are
right.
"""
_NONE: Final = (1, 0)
_FUNCTIONS: Final = (FunctionType, FunctionLike)


def checked(function: Function, replacement: Function) -> Function:
    """
    Return the replacement of a coroutine function, whose calls raise ``TypeError`` for the same arguments with the same message.

    The replacement of any other function is returned as it is: calling the original may run more than Python's own comparison.
    """
    code = _code_of(function)
    if code is None or not code.co_flags & CO_COROUTINE:
        return replacement
    original = _original_of(function)
    least, most = _numbers_of(original)

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs or not least <= len(args) <= most:
            original(*args, **kwargs).close()  # raises, or makes a coroutine that has run nothing
        return replacement(*args, **kwargs)

    made = FunctionLike(function if type(function) in _FUNCTIONS else replacement, call)
    setattr(made, _CHECKED, (made, original))
    return made


def _original_of(function: Function) -> Function:
    """Return the function below replacements of this module."""
    if type(function) is not FunctionLike:
        return function
    owner, original = vars(function).get(_CHECKED, (None, function))
    return original if owner is function else function


def _numbers_of(function: Any) -> tuple[int, int]:  # Any: as below
    """Return how few and how many positional arguments are right without others; none where only a call shows that."""
    if type(function) is not FunctionType:
        return _NONE
    code, defaults = function.__code__, function.__kwdefaults__ or {}
    if len(defaults) < code.co_kwonlyargcount:
        return _NONE
    most = sys.maxsize if code.co_flags & CO_VARARGS else code.co_argcount
    return code.co_argcount - len(function.__defaults__ or ()), most


def _code_of(function: Any) -> Any:  # Any: whatever can be called
    """Return the code that a call runs; None where that is not Python code."""
    while type(function) in (functools.partial, MethodType):
        function = function.func if type(function) is functools.partial else function.__func__
    if type(function) not in _FUNCTIONS:
        function = getattr(type(function), "__call__", None)  # noqa: B004  # the method is wanted
    return function.__code__ if type(function) in _FUNCTIONS else None
