"""
The parameter of a function that headers travel through, and what its calls send.

A call that gives no headers may stand for others, which the library itself has: ``if headers is None: headers = self.headers``.
Headers in their place would take those away, so nothing is added to such a call unless the plugin has named them.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from scout_core.boundary.bound_calls import BoundCall, Function, Original
from scout_core.boundary.guard import Guard
from scout_core.boundary.headers import UnknownHeaders, with_headers
from scout_core.boundary.presets import has_presets, with_presets, without_presets
from scout_core.errors import TargetError
from scout_core.recording.context import current
from scout_core.recording.naming import type_name
from scout_core.recording.safety.contain import lose
from scout_core.recording.span import Span
from scout_core.recording.trace.headers import UnknownHost, headers_for
from scout_core.signals import is_from_signal_handler

_get = current.get
_UNKNOWN: Final = object()


class UnknownUrl(TypeError):
    """The tag ``url`` of a span is not a text, so it is not known which host the call goes to."""


class UnknownDefault(LookupError):
    """A call gives no headers, and the library may have some that it would use."""


DefaultHeaders = Mapping[str, str] | str | None


class HeaderParameter(NamedTuple):
    """A parameter that headers travel through, as a plugin names it. It can be hashed."""

    name: str
    default: tuple[tuple[str, str], ...] | str | None
    """The headers that a call without any stands for, or the name of the object's attribute that has them; None: not known."""

    def check(self, original: Original) -> None:
        """
        Check that it can be one of a function.

        Raises:
            TargetError: it cannot.
        """
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise TargetError(f"headers must be the name of a parameter, got {self.name!r}")
        default: Any = self.default  # Any: whatever a plugin passes
        if type(default) is tuple and all(type(text) is str for pair in default for text in pair):
            return
        if default is not None and not (isinstance(default, str) and default.isidentifier()):
            raise TargetError(f"default_headers must be a dict of str or the name of an attribute, got {default!r}")
        if default is not None and not original.has_instance:
            raise TargetError(f"default_headers is the attribute {default!r}, but its calls have no object")


class HeaderPlace:
    """The parameter of a function that headers travel through."""

    __slots__ = (
        "name",
        "guard",
        "position",
        "default",
        "named_default",
        "is_keyword",
        "is_bound_late",
        "has_presets",
        "function",
        "takes_bound_call",
    )

    def __init__(self, original: Original, parameter: HeaderParameter, guard: Guard) -> None:
        """
        Find it.

        Raises:
            TargetError: there is no such parameter, and no ``**kwargs``; or no object that could have the default headers.
        """
        parameter.check(original)
        self.name = name = parameter.name
        self.named_default = parameter.default
        self.takes_bound_call = original.takes_bound_call
        self.guard = guard
        self.position: int | None = None
        self.default: Any = None  # Any: as the library has it
        self.is_keyword = True
        self.is_bound_late = original.takes_bound_call and not original.is_constructor
        self.function = original.function
        self.has_presets = has_presets(original.function)
        try:
            parameters = inspect.signature(without_presets(original.function)).parameters
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
    ) -> tuple[Function, tuple[Any, ...], dict[str, Any]]:
        """
        Return the library's function and the arguments of a call with the headers that its describer asks for.

        They are the caller's own if the headers may not be added, or cannot be. Those that a partial object has in advance are among them.

        Args:
            described: headers, or a span for those of its trace; anything else asks for none.
        """
        function = self.function
        if self.is_bound_late:
            call, rest, kwargs = with_presets(args[0].call, args[1:], kwargs)
            args = (BoundCall(call, args[0].receiver), *rest)
        elif self.has_presets:
            function, args, kwargs = with_presets(function, args, kwargs)
        return function, *self._with_headers(described, function, args, kwargs)

    def _with_headers(
        self, described: object, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        note = self.guard.note_unsent
        try:
            added = _headers_of(described)
        except (UnknownUrl, UnknownHost) as error:
            note(str(error))
            return args, kwargs
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(_get(), error)
            return args, kwargs
        if not added:
            return args, kwargs
        try:
            position = self.position
            if self.is_bound_late:
                position = _position_in(args[0].call, self.name, first=1)
            elif self.has_presets:
                position = _position_in(function, self.name)
            if self.name in kwargs:
                kwargs[self.name] = self._joined(kwargs[self.name], added, args)
            elif position is not None and position < len(args):
                args = (*args[:position], self._joined(args[position], added, args), *args[position + 1 :])
            elif self.default is not _UNKNOWN and self.is_keyword:
                kwargs[self.name] = self._joined(self.default, added, args)
            elif self.default is not _UNKNOWN and position == len(args):
                args = (*args, self._joined(self.default, added, args))
        except UnknownDefault as error:
            note(str(error))
        except UnknownHeaders as error:
            self._note_headers(str(error))
        except Exception as error:  # of the caller's own class
            if is_from_signal_handler(error):
                raise
            self._note_headers(f"a class whose methods raise {type_name(type(error))}")
        return args, kwargs

    def _joined(
        self, given: Any, added: Mapping[str, str], args: tuple[Any, ...]
    ) -> Any:  # Any: as the library takes them
        """
        Return the headers of a call together with others.

        Raises:
            UnknownDefault: the library may use headers of its own instead.
            UnknownHeaders: they are of another kind.
        """
        if given:
            return with_headers(given, added, self._note_headers)
        default = self._default_headers(args)
        if given is None:
            return with_headers(default, added)
        if default:  # the library may ask `headers is None` or `not headers`
            raise UnknownDefault("its caller gives empty headers")
        return with_headers(given, added)

    def _default_headers(self, args: tuple[Any, ...]) -> Any:  # Any: as above
        """
        Return the headers that a call without any stands for.

        Raises:
            UnknownDefault: the plugin has not named them, or the object does not have them.
        """
        named = self.named_default
        if type(named) is tuple:
            return dict(named)
        if named is None:
            raise UnknownDefault("its caller gives none, and the plugin does not name the default ones")
        receiver = args[0].receiver if self.takes_bound_call else args
        found = getattr(receiver[0], cast(str, named), None) if receiver else None
        if found is None:
            raise UnknownDefault(f"its caller gives none, and the object has no {named}")
        return found

    def _note_headers(self, problem: str) -> None:
        self.guard.note_unsent(f"its caller gives headers of {problem}")


def _position_in(call: Function, name: str, first: int = 0) -> int | None:
    """Return the position of the headers; None: only by keyword. Part of the arguments may be bound already."""
    parameters = inspect.signature(call).parameters
    found = parameters.get(name)
    if found is None or found.kind not in (found.POSITIONAL_ONLY, found.POSITIONAL_OR_KEYWORD):
        return None
    return first + list(parameters).index(name)


def _headers_of(described: object) -> dict[str, str]:
    """
    Return the headers that a describer asks for: those that it has returned, or those of the trace for a span.

    Raises:
        UnknownUrl: the URL of the span cannot be read without running code of its class.
        UnknownHost: its host cannot be read.
    """
    if type(described) is dict:
        return described
    if not issubclass(type(described), Span):
        return {}
    url = cast(Span, described).own_tags.get("url")
    kind = type(url)
    if url is None:
        return headers_for("")
    if issubclass(kind, str):
        return headers_for(url)
    if issubclass(kind, bytes):
        return headers_for(bytes.decode(url, "utf-8", "replace"))
    raise UnknownUrl(f"its span has a url of type {type_name(kind)}")
