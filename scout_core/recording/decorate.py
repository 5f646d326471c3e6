"""``@span(...)`` and ``@transaction(...)`` on functions: which objects can be decorated, and by what each is replaced."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType, GenericAlias, MethodDescriptorType, MethodType, WrapperDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from scout_core.recording import context
from scout_core.recording.naming import type_name
from scout_core.recording.stepwise.coroutine_functions import checked
from scout_core.recording.stepwise.deferred import PLAIN, stepped
from scout_core.recording.stepwise.function_like import FunctionLike
from scout_core.recording.stepwise.generator_functions import (
    is_block_function,
    is_generator_function,
    replace_block_function,
)
from scout_core.recording.stepwise.unfollowed import noting_decorated

if TYPE_CHECKING:
    from scout_core.recording.span import Span

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TYPING_ALIAS: Final = type(ClassVar[int])
"""Of ``Box[int]``, where ``Box`` is a generic class: calling it makes an object."""


def decorated(function: _Function, kind: Callable[..., Span], operation: str, tags: dict[str, Any]) -> _Function:
    """
    Return what replaces the function: each call becomes a new span, as ``kind`` makes it.

    A static method, class method, partial function or bound method stays one; any other object that can be called stays itself in
    everything but its calls.

    Raises:
        TypeError: it is not a function.
    """

    def again(inner: Any) -> Any:
        return decorated(inner, kind, operation, tags)

    made: Any
    found: Any = function
    of: Any = type(function)
    if of in (staticmethod, classmethod):
        made = of(again(found.__func__))
    elif of is functools.partial:
        made = functools.partial(again(found.func), *found.args, **found.keywords)
    elif of is functools.partialmethod:
        made = functools.partialmethod(again(found.func), *found.args, **found.keywords)
    elif of is MethodType:
        made = MethodType(again(found.__func__), found.__self__)
    else:
        _check(function)

        def timed(called: Callable[..., Any]) -> Callable[..., Any]:
            return _timed(called, kind, operation, tags)

        if of in (FunctionType, FunctionLike) and is_generator_function(function):
            made = FunctionLike(function, timed(function))
        elif of in (FunctionType, FunctionLike, MethodDescriptorType, WrapperDescriptorType):
            made = timed(function)
        else:
            from scout_core.recording.stepwise.callables import stand_in  # rarely needed

            made = stand_in(function, timed)
    return made  # type: ignore[no-any-return]


def _timed(
    function: Callable[..., Any], kind: Callable[..., Span], operation: str, tags: dict[str, Any]
) -> Callable[..., Any]:
    if is_block_function(function):
        return replace_block_function(function, lambda inner: _in_steps(inner, kind, operation, tags, is_block=True))
    if is_generator_function(function) or is_generator_function(_call_method(function)):
        return _in_steps(function, kind, operation, tags)
    followed = noting_decorated(function)
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_call_method(function)):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with kind(operation, **tags) as opened:
                result = await function(*args, **kwargs)
                return result if id(type(result)) in PLAIN else followed(opened, result)

        return checked(function, awaited)

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with kind(operation, **tags) as opened:
            result = function(*args, **kwargs)
            return result if id(type(result)) in PLAIN else followed(opened, result)

    return called


def _in_steps(
    function: Callable[..., Any],
    kind: Callable[..., Span],
    operation: str,
    tags: dict[str, Any],
    *,
    is_block: bool = False,
) -> Callable[..., Any]:
    @functools.wraps(function)
    def begun(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if context.tracer is None:  # no agent runs, and a stand-in would add frames to each level of a recursion
            return result
        return stepped(kind(operation, **tags), result, is_block=is_block)

    return begun


def _check(function: object) -> None:
    """
    Refuse an object whose calls cannot be timed.

    Raises:
        TypeError: with the reason, and what to decorate instead.
    """
    of = type(function)
    if issubclass(of, (type, GenericAlias, _TYPING_ALIAS)):
        raise TypeError(f"classes cannot be decorated: decorate the methods of {_name(function)} instead")
    if issubclass(of, (property, functools.cached_property)):
        raise TypeError("properties cannot be decorated: decorate the function below instead")
    if issubclass(of, functools.singledispatchmethod):
        raise TypeError(
            "singledispatchmethod cannot be decorated: decorate the functions below it and below register()"
        )
    if hasattr(of, "__enter__") or hasattr(of, "__aenter__"):
        raise TypeError(
            f"context managers cannot be decorated, got {type_name(of)}: open a span around the with statement instead"
        )
    if not callable(function):
        raise TypeError(f"only functions and methods can be decorated, got {type_name(of)}")


def _name(of: object) -> str:
    name = getattr(of, "__qualname__", None)
    return name if type(name) is str else "the class"


def _call_method(function: object) -> object:
    """The method that runs when an object is called; None for a function, whose own kind counts."""
    return None if isinstance(function, FunctionType) else getattr(type(function), "__call__", None)  # noqa: B004
