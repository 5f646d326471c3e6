"""Replacements of generator functions and of functions that ``contextlib.contextmanager`` has made of them."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Final

from scout_core.recording.stepwise.function_like import FunctionLike

Function = Callable[..., Any]

_made_by: Final[dict[CodeType, Callable[[Any], Any]]] = {
    made_by(len).__code__: made_by  # type: ignore[arg-type]  # any function will do; it is not called
    for made_by in (contextlib.contextmanager, contextlib.asynccontextmanager)
}
"""The code that all functions made by one decorator share, to the decorator."""


def is_generator_function(function: object) -> bool:
    """Whether a call returns a generator or an async generator, and runs nothing yet."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def is_block_function(function: object) -> bool:
    """Whether ``contextlib`` has made it of a generator function: a call returns a context manager."""
    return type(function) is FunctionType and function.__code__ in _made_by


def replace_block_function(function: Any, replace: Callable[[Function], Function]) -> Function:
    """
    Make a function such as ``contextlib`` makes them, of a replacement of the generator function.

    So the context managers are of the same class as before, and can also be used as decorators.
    """
    inner = replace(function.__wrapped__)
    made = functools.update_wrapper(_made_by[function.__code__](inner), function)
    made.__wrapped__ = inner  # as contextlib has it: the generator function, which may be replaced again
    return made


def replace_in_kind(function: Function, replace: Callable[[Function], Function]) -> Function:
    """Return the replacement of a function, which is of the same kind as the function."""
    if is_block_function(function):
        return replace_block_function(function, replace)
    replaced = replace(function)
    return FunctionLike(function, replaced) if is_generator_function(function) else replaced
