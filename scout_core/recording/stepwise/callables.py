"""Stand-ins for callable objects that are not functions: calls are timed, everything else is the original's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from scout_core.recording.stepwise.function_like import FunctionLike

_Timer = Callable[[Callable[..., Any]], Callable[..., Any]]


def stand_in(original: Any, timed: _Timer) -> Any:
    """
    Return the replacement of a builtin, an object whose class defines ``__call__``, or another decorator's wrapper.

    Args:
        timed: returns a function that calls another one and times that.
    """
    call = timed(original)
    return (_AsyncCallable if inspect.iscoroutinefunction(call) else _Callable)(original, call, timed)


class _Callable:
    """Calls one function; whatever else it is asked for, the original answers."""

    def __init__(self, original: Any, call: Callable[..., Any], timed: _Timer) -> None:
        functools.update_wrapper(self, original)
        vars(self).update(_scout_core_call=call, _scout_core_timed=timed)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._scout_core_call(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind it as the original is bound: another decorator's wrapper to the instance, a builtin not at all."""
        original = self.__wrapped__
        bind = getattr(type(original), "__get__", None)
        bound = original if bind is None else bind(original, instance, owner)
        return self if bound is original else stand_in(bound, self._scout_core_timed)

    @property  # type: ignore[misc]  # isinstance() falls back on it
    def __class__(self) -> Any:
        return vars(self)["__wrapped__"].__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle it as the original is: by its name, which is found as this object, or as a copy that is not timed."""
        return self.__wrapped__.__reduce_ex__(protocol)


async def _awaited(self: _Callable, /, *args: Any, **kwargs: Any) -> Any:
    """Have the flags that servers ask for; not called."""


class _AsyncCallable(_Callable):
    """The same for an object whose calls are awaited, which servers find out by asking for ``__call__``."""

    __call__ = FunctionLike(_awaited, _Callable.__call__)
