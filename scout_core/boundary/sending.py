"""
The functions that replace those which send headers: what a describer returns is sent with the call.

A call of such a function is made in two layers: the wrapper of any other target, and below it a function that adds the headers, when
the span has begun and so has an id. An object in front of the arguments of each call connects the two, and no other wrapper
has to know about headers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, cast

from scout_core.boundary.bound_calls import Function, Original
from scout_core.boundary.guard import Guard
from scout_core.boundary.header_places import HeaderParameter, HeaderPlace
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.errors import TargetError
from scout_core.recording.context import current
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.safety.contain import lose
from scout_core.recording.span import Span
from scout_core.recording.stepwise.coroutine_functions import checked
from scout_core.recording.stepwise.generator_functions import is_generator_function

_get = current.get
_UNKNOWN: Final = object()


def sending_wrapper(original: Original, guard: Guard, parameter: HeaderParameter, *, is_root: bool) -> Function:
    """
    Return the function that replaces this one, times it, and sends the headers of the trace.

    Args:
        guard: of the describer, as the wrapper of another target gets it.
        parameter: the headers travel through it.

    Raises:
        TargetError: the function has no such parameter, caches its results, or is a generator function, whose span has no id when it
            is called.
        LeftAlone: functions of this kind cannot be timed.
    """
    function = original.function
    if is_generator_function(inspect.unwrap(function)):
        raise TargetError(
            "headers cannot be added to the call of a generator function; wrap the function that sends the request"
        )
    if _is_cached(function):
        raise TargetError(
            "headers cannot be added to the call of a cached function, whose arguments are its key; wrap the function that it calls"
        )
    place = HeaderPlace(original, parameter, guard)

    def sent(call: _Call, /, *args: Any, **kwargs: Any) -> Any:
        if call.sends:
            called, args, kwargs = place.add_to(call.described, args, kwargs)
            return called(*args, **kwargs)
        return function(*args, **kwargs)

    noting = cast(Guard, _NotingGuard(guard))
    timed = describing_wrapper(_like(function, sent), noting, is_root=is_root, is_constructor=original.is_constructor)

    def sending(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not is_root:
                return function(*args, **kwargs)
        elif _is_ignored(parent):
            called, args, kwargs = place.add_to(_described(guard, args, kwargs), args, kwargs)
            return called(*args, **kwargs)
        return timed(_Call(), *args, **kwargs)

    return checked(function, _like(function, sending))


class _Call:
    """One call: what its describer has returned."""

    __slots__ = ("described",)

    def __init__(self) -> None:
        self.described: object = None

    @property
    def sends(self) -> bool:
        """Whether it may send headers: a span must have begun, or be covered by another, which is the caller then."""
        described = self.described
        if described is None:
            return False
        if type(described) is dict or _get() is described:
            return True
        return issubclass(type(described), OutermostSpan) and cast(OutermostSpan, described).is_covered


class _NotingGuard:
    """The guard of a describer whose result is noted for the call."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def describe(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the describer; None for headers without a span."""
        described = _checked(self._guard, self._guard.describe(args[1:], kwargs))
        args[0].described = described
        return None if type(described) is dict else described

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Call the describer up to its ``yield``."""
        begun = self._guard.begin(args[1:], kwargs)
        if begun is not None and issubclass(type(begun[1]), Span):
            args[0].described = begun[1]
        return begun

    def __getattr__(self, name: str) -> Any:  # Any: whatever a guard has
        return getattr(self._guard, name)


def _is_ignored(parent: Span) -> bool:
    """Whether nothing is recorded, although a transaction is open."""
    try:
        inside = parent.transaction
        return inside is not None and inside.ignored is not None and not inside.is_finished
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        lose(parent, error)
        return False


def _described(guard: Guard, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    """Call a describer where nothing is recorded."""
    if not guard.has_steps:
        return _checked(guard, guard.describe(args, kwargs))
    begun = guard.begin(args, kwargs)
    if begun is None:
        return None
    guard.finish(begun[0].close)
    return begun[1]


def _checked(guard: Guard, described: Any) -> Any:  # Any: whatever a describer returns
    """Return it; None, and counted as a failed call, for headers that are not texts."""
    if type(described) is dict and not all(
        type(name) is str and type(value) is str for name, value in described.items()
    ):
        guard.refuse("a describer must return headers as a dict of str to str")
        return None
    return described


def _is_cached(function: Any) -> bool:  # Any: whatever can be called
    """Whether a function, or one that it wraps, is of ``functools.lru_cache`` or has its interface."""
    while not hasattr(type(function), "cache_clear"):
        if "cache_clear" in getattr(function, "__dict__", ()):
            return True
        function = function.func if type(function) is functools.partial else getattr(function, "__wrapped__", None)
        if function is None:
            return False
    return True


def _like(function: Function, replacement: Callable[..., Any]) -> Function:
    """Return a replacement of the same kind as a function."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await replacement(*args, **kwargs)

        return awaited
    return functools.wraps(function)(replacement)
