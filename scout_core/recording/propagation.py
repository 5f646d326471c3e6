"""The span that is open here, carried to wherever a function runs: a thread of a pool, a callback, another task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import BuiltinFunctionType, CoroutineType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scout_core.classes import attribute_of
from scout_core.recording.context import current
from scout_core.recording.naming import type_name
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.recording.span import Span
from scout_core.recording.stepwise.coroutine_functions import checked
from scout_core.recording.stepwise.function_like import FunctionLike
from scout_core.recording.stepwise.stepped import (
    AsyncGeneratorSteps,
    CoroutineSteps,
    GeneratorSteps,
    IterableCoroutineSteps,
    SteppedAsyncGenerator,
    SteppedCoroutine,
    SteppedGenerator,
    SteppedIterableCoroutine,
)
from scout_core.recording.stepwise.steps import Steps

if TYPE_CHECKING:
    from scout_core.recording.transaction import Transaction

_Function = TypeVar("_Function", bound=Callable[..., Any])  # Any, here and below: what the function takes and returns

_get = current.get
_set = current.set
_PLAIN: Final = (FunctionType, FunctionLike, BuiltinFunctionType, MethodType)


def propagate(function: _Function) -> _Function:
    """
    Return a function that does the same, and whose spans belong to the span that is open now, in whichever thread or task it runs.

    Nothing else of the context is copied. After the call, or between two steps of a coroutine or a generator, what was current there
    is current again.

    Args:
        function: anything that can be called. A coroutine function gives a coroutine function, and a generator function, async or
            not, one whose generators do the same.

    Returns:
        The function itself when no transaction is open.

    Raises:
        TypeError: it cannot be called.
    """
    flags = _flags_of(function)
    span = _get()
    if span is None:
        return function
    if flags & inspect.CO_ASYNC_GENERATOR:
        return _generator_function(function, span, SteppedAsyncGenerator, AsyncGeneratorSteps)  # type: ignore[return-value]
    if flags & inspect.CO_ITERABLE_COROUTINE:
        return _generator_function(function, span, SteppedIterableCoroutine, IterableCoroutineSteps)  # type: ignore[return-value]
    if flags & inspect.CO_GENERATOR:
        return _generator_function(function, span, SteppedGenerator, GeneratorSteps)  # type: ignore[return-value]
    is_async = bool(flags & inspect.CO_COROUTINE)
    carried: Any = (_coroutine_function if is_async else _plain)(function, span)
    if type(function) in _PLAIN:  # the attributes of any other object may be code of the application
        carried = functools.wraps(function)(carried)
        carried = checked(function, carried) if is_async else carried
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
    return await SteppedCoroutine(_in_steps(CoroutineSteps, body, span))


def _coroutine_function(function: Callable[..., Any], span: Span) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await _awaited(function(*args, **kwargs), span)

    return run


def _generator_function(
    function: Callable[..., Any], span: Span, stand_in: Callable[[Steps], Any], kind: type[Steps]
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        return stand_in(_in_steps(kind, function(*args, **kwargs), span))

    return FunctionLike(function, run)


class _Carried:
    """Stands for a span that is open elsewhere: steps run within it, and do not end it."""

    __slots__ = ("span", "start_ns")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.start_ns = span.start_ns

    @property
    def transaction(self) -> Transaction | None:
        """The span's own."""
        return self.span.transaction

    def tag(self, key: str, value: Any, /) -> None:
        """Set nothing."""

    def __enter__(self) -> object:
        """Begin nothing."""

    def keep_open(self) -> object:
        """Change nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """End nothing."""


def _in_steps(kind: type[Steps], body: Any, span: Span) -> Steps:
    return kind(_Carried(span), body, inside=span, active_ns=None)


def _flags_of(function: object) -> int:
    """
    Return the flags of the code that a call runs, 0 where that is not Python code.

    Raises:
        TypeError: the object cannot be called.
    """
    found: Any = function
    while type(found) in (functools.partial, MethodType):
        found = found.func if type(found) is functools.partial else found.__func__
    if type(found) not in (FunctionType, FunctionLike):
        found = attribute_of(type(found), "__call__")
        if found is None:
            raise TypeError(f"propagate expects a function, got {type_name(type(function))}")
    return found.__code__.co_flags if type(found) in (FunctionType, FunctionLike) else 0
