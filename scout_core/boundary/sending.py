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
from scout_core.boundary.headers import with_headers
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.errors import TargetError
from scout_core.recording.context import current
from scout_core.recording.safety.contain import lose
from scout_core.recording.span import Span
from scout_core.recording.stepwise.generator_functions import is_generator_function
from scout_core.recording.trace.headers import trace_headers

_get = current.get
_UNKNOWN: Final = object()


def describe_or_send(guard: Guard, is_root: bool, headers: str | None, original: Original) -> Function:
    """Return the wrapper of a target: one that sends headers through the parameter of this name, or any other for None."""
    guard = original.guard(guard)
    if headers is not None:
        return sending_wrapper(original, guard, headers, is_root=is_root)
    return describing_wrapper(original.function, guard, is_root=is_root, is_constructor=original.is_constructor)


def sending_wrapper(original: Original, guard: Guard, parameter: str, *, is_root: bool) -> Function:
    """
    Return the function that replaces this one, times it, and sends the headers of the trace.

    Args:
        guard: of the describer, as the wrapper of another target gets it.
        parameter: name of the parameter that the headers travel through.

    Raises:
        TargetError: the function has no such parameter, or is a generator function, whose span has no id when it is called.
        LeftAlone: functions of this kind cannot be timed.
    """
    function = original.function
    if is_generator_function(inspect.unwrap(function)):
        raise TargetError(
            "headers cannot be added to the call of a generator function; wrap the function that sends the request"
        )
    place = HeaderPlace(original, parameter)

    def sent(call: _Call, /, *args: Any, **kwargs: Any) -> Any:
        if call.sends:
            args, kwargs = place.add_to(call.described, args, kwargs)
        return function(*args, **kwargs)

    noting = cast(Guard, _NotingGuard(guard))
    timed = describing_wrapper(_like(function, sent), noting, is_root=is_root, is_constructor=original.is_constructor)

    def sending(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not is_root:
                return function(*args, **kwargs)
        elif _is_ignored(parent):
            args, kwargs = place.add_to(_described(guard, args, kwargs), args, kwargs)
            return function(*args, **kwargs)
        return timed(_Call(), *args, **kwargs)

    return _like(function, sending)


class HeaderPlace:
    """The parameter of a function that headers travel through."""

    __slots__ = ("name", "position", "default", "is_keyword", "is_bound_late")

    def __init__(self, original: Original, name: str) -> None:
        """
        Find it.

        Raises:
            TargetError: there is no such parameter, and no ``**kwargs``.
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise TargetError(f"headers must be the name of a parameter, got {name!r}")
        self.name = name
        self.position: int | None = None
        self.default: Any = None  # Any: as the library has it
        self.is_keyword = True
        self.is_bound_late = original.takes_bound_call and not original.is_constructor
        try:
            parameters = inspect.signature(original.function).parameters
        except (TypeError, ValueError):  # a function written in C: only by keyword
            return
        found = parameters.get(name)
        if found is None or found.kind in (found.VAR_POSITIONAL, found.VAR_KEYWORD):
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                raise TargetError(f"it has no parameter {name!r} for headers; it takes {', '.join(parameters)}")
            return
        if found.kind is not found.KEYWORD_ONLY:
            self.position = list(parameters).index(name)
        self.is_keyword = found.kind is not found.POSITIONAL_ONLY
        self.default = _UNKNOWN if found.default is found.empty else found.default

    def add_to(
        self, described: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """
        Return the arguments of a call with the headers that its describer asks for; the same if they may not be added, or cannot be.

        Args:
            described: headers, or a span for those of its trace; anything else asks for none.
        """
        try:
            added = _headers_of(described)
            if not added:
                return args, kwargs
            position = self.position
            if self.is_bound_late:
                position = _position_in(args[0].call, self.name)
            if self.name in kwargs:
                kwargs[self.name] = with_headers(kwargs[self.name], added)
            elif position is not None and position < len(args):
                args = (*args[:position], with_headers(args[position], added), *args[position + 1 :])
            elif self.default is not _UNKNOWN and self.is_keyword:
                kwargs[self.name] = with_headers(self.default, added)
            elif self.default is not _UNKNOWN and position == len(args):
                args = (*args, with_headers(self.default, added))
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            span = _get()
            if span is not None:
                lose(span, error)
        return args, kwargs


def _position_in(call: Function, name: str) -> int | None:
    """Return the position of the headers behind a ``BoundCall``; None: only by keyword. Part of the arguments may be bound already."""
    found = inspect.signature(call).parameters.get(name)
    if found is None or found.kind not in (found.POSITIONAL_ONLY, found.POSITIONAL_OR_KEYWORD):
        return None
    return 1 + list(inspect.signature(call).parameters).index(name)


class _Call:
    """One call: what its describer has returned."""

    __slots__ = ("described",)

    def __init__(self) -> None:
        self.described: object = None

    @property
    def sends(self) -> bool:
        """Whether it may send headers: a span must have begun."""
        described = self.described
        return type(described) is dict or (described is not None and _get() is described)


class _NotingGuard:
    """The guard of a describer whose result is noted for the call."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def run(self, call: _Call, /, *args: Any, **kwargs: Any) -> Any:
        """Call the describer; None for headers without a span."""
        described = _checked(self._guard, self._guard.run(*args, **kwargs))
        call.described = described
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
        return _checked(guard, guard.run(*args, **kwargs))
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


def _headers_of(described: object) -> dict[str, str]:
    """Return the headers that a describer asks for: those that it has returned, or those of the trace for a span."""
    if type(described) is dict:
        return described
    if not issubclass(type(described), Span):
        return {}
    url = cast(Span, described).own_tags.get("url")
    return trace_headers(url if type(url) is str else "")


def _like(function: Function, replacement: Callable[..., Any]) -> Function:
    """Return a replacement of the same kind as a function."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await replacement(*args, **kwargs)

        return awaited
    return functools.wraps(function)(replacement)
