"""
Calls that are bound by the library's own descriptor, or that construct an object.

A wrapper gets the arguments of a call, of a method beginning with the instance, and passes them to the original. Where the original
cannot be called like that, because only its descriptor knows how to bind it, the first argument is a ``BoundCall`` in place of the
instance: it makes the call, and has the instance for the describer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

from scout_core.boundary.guard import Guard
from scout_core.recording.stepwise.function_like import FunctionLike
from scout_core.recording.stepwise.generator_functions import is_generator_function

Function = Callable[..., Any]
Around = Callable[[Function, Any, "tuple[Any, ...]", "dict[str, Any]"], Any]


class BoundCall:
    """One call that is about to be made."""

    __slots__ = ("call", "receiver")

    def __init__(self, call: Function, receiver: tuple[Any, ...]) -> None:
        self.call = call
        """Makes the call; takes the arguments that follow."""
        self.receiver = receiver
        """The instance or class that the describer gets first; may be empty."""


class Original:
    """An object that is replaced at a target, as a function for a wrapper. No attrs class, whose making would cost every start 1 ms."""

    __slots__ = ("raw", "function", "has_instance", "takes_bound_call", "is_constructor")

    def __init__(
        self, raw: Any, function: Function, *, has_instance: bool = False, takes_bound_call: bool = False
    ) -> None:
        self.raw = raw
        """Whatever the library has there."""
        self.function = function
        """Takes all arguments of a call: first the instance or class if ``has_instance``, or a ``BoundCall``."""
        self.has_instance = has_instance
        self.takes_bound_call = takes_bound_call
        self.is_constructor = False

    def guard(self, guard: Guard) -> Guard:
        """Return the guard for a wrapper: its describer gets the arguments of the call, whatever the wrapper gets."""
        return cast(Guard, _UnpackingGuard(guard)) if self.takes_bound_call else guard

    def around(self, around: Around) -> Around:
        """Return the same for a function that is given to ``wrap.around``."""
        if not self.takes_bound_call:
            return around

        def unpacking(_: Function, bound: BoundCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return around(bound.call, bound.receiver[0] if bound.receiver else None, args, kwargs)

        return unpacking

    def arguments(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments of a call as its describer gets them."""
        return (*args[0].receiver, *args[1:]) if self.takes_bound_call else args


class _UnpackingGuard:
    """A guard whose function gets the instance in place of a ``BoundCall``."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def describe(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the describer."""
        return self._guard.describe((*args[0].receiver, *args[1:]), kwargs)

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Call the describer up to its ``yield``."""
        return self._guard.begin((*args[0].receiver, *args[1:]), kwargs)

    def __getattr__(self, name: str) -> Any:  # Any: whatever a guard has
        return getattr(self._guard, name)


# Any: whatever the library has there.
def bound_call_of(like: Any, raw: Any, *, is_passed_on: bool = False) -> Original:
    """
    Return the original of calls that are bound when they are made.

    Args:
        like: the function that is called in the end; the original is of its kind.
        raw: what is replaced.
        is_passed_on: its calls run nothing before that function.
    """

    def function(bound: BoundCall, /, *args: Any, **kwargs: Any) -> Any:
        return bound.call(*args, **kwargs)

    async def async_function(bound: BoundCall, /, *args: Any, **kwargs: Any) -> Any:
        return await bound.call(*args, **kwargs)

    is_async = inspect.iscoroutinefunction(like)
    chosen: Function = functools.wraps(like)(async_function if is_async else function)
    if is_generator_function(like) or (is_async and is_passed_on):
        chosen = FunctionLike(like, function)
    return Original(raw, chosen, has_instance=True, takes_bound_call=True)
