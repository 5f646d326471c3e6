"""The span that is open here, carried to wherever a function runs: a thread of a pool, a callback, another task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from types import BuiltinFunctionType, CoroutineType, FunctionType, MethodType, coroutine
from typing import Any, Final, TypeVar

from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.context import current
from scout_core.recording.naming import type_name
from scout_core.recording.span import Span

_Function = TypeVar(
    "_Function", bound=Callable[..., Any]
)  # Any, here and below: whatever the function takes and returns

_get = current.get
_set = current.set
_PLAIN: Final = (FunctionType, BuiltinFunctionType, MethodType)


def propagate(function: _Function) -> _Function:
    """
    Return a function that does the same, and whose spans belong to the span that is open now, in whichever thread or task it runs.

    Nothing else of the context is copied. After the call, or between two steps of a coroutine or a generator, what was current there
    is current again.

    Args:
        function: anything that can be called; a coroutine function gives a coroutine function, a generator function one of generators.

    Returns:
        The function itself when no transaction is open.

    Raises:
        TypeError: it cannot be called, or it is an async generator function.
    """
    flags = _flags_of(function)
    if flags & inspect.CO_ASYNC_GENERATOR:
        raise TypeError(
            "propagate does not support async generator functions: propagate the function that iterates over it"
        )
    span = _get()
    if span is None:
        return function
    carried: Any
    if flags & inspect.CO_COROUTINE:
        carried = _coroutine_function(function, span)
    elif flags & inspect.CO_GENERATOR:
        carried = _generator_function(function, span)
    else:
        carried = _plain(function, span)
    if type(function) in _PLAIN:  # the attributes of any other object may be code of the application
        carried = functools.wraps(function)(carried)
    return carried  # type: ignore[no-any-return]  # the same kind of function


def _plain(function: Callable[..., Any], span: Span) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        before = _get()
        if before is span or (collecting and is_collecting_here()):
            result = function(*args, **kwargs)
        else:
            try:
                _set(span)
                result = function(*args, **kwargs)
            finally:
                _set(before)
        return _awaited(result, span) if type(result) is CoroutineType else result

    return run


async def _awaited(body: Any, span: Span) -> Any:
    """Await a coroutine; a coroutine itself, as event loops expect one."""
    return await coroutine(_in_steps)(body, span)


def _coroutine_function(function: Callable[..., Any], span: Span) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await coroutine(_in_steps)(function(*args, **kwargs), span)

    return run


def _generator_function(function: Callable[..., Any], span: Span) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        return (yield from _in_steps(function(*args, **kwargs), span))

    return run


def _in_steps(body: Any, span: Span) -> Generator[Any, Any, Any]:
    """Run a generator or a coroutine; each step begins with the current span that the step before it left."""
    inside: Span | None = span
    is_closed = False
    step: Callable[..., Any]
    arguments: tuple[Any, ...]
    step, arguments = body.send, (None,)
    while True:
        may_set = not (collecting and is_collecting_here())
        before = _get()
        try:
            if may_set:
                _set(inside)
            yielded = step(*arguments)
        except StopIteration as stop:
            return stop.value
        finally:
            arguments = ()  # an exception must not refer to itself by this frame
            if may_set:
                inside = _get()
                _set(before)
        if is_closed:
            return None
        try:
            step, arguments = body.send, ((yield yielded),)
        except GeneratorExit:
            is_closed = True
            step, arguments = body.close, ()
        except BaseException as error:  # noqa: BLE001  # any exception is passed on
            step, arguments = body.throw, (error,)


def _flags_of(function: object) -> int:
    """
    Return the flags of the code that a call runs, 0 where that is not Python code.

    Raises:
        TypeError: the object cannot be called.
    """
    found: Any = function
    while type(found) in (functools.partial, MethodType):
        found = found.func if type(found) is functools.partial else found.__func__
    if type(found) is not FunctionType:
        calls = [vars(base)["__call__"] for base in type(found).__mro__ if "__call__" in vars(base)]
        if not calls:
            raise TypeError(f"propagate expects a function, got {type_name(type(found))}")
        found = calls[0]
    return found.__code__.co_flags if type(found) is FunctionType else 0
