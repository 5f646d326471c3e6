"""
Objects of wrapt that replace what a function cannot replace: partial objects, cached functions, functions written in C, callable
objects, foreign descriptors.

Everything except the call is the original's own: its attributes, its class as ``isinstance`` sees it, how it is bound, pickled and
copied. A plain function is not replaced like this, as ``docs/decisions.md`` explains. wrapt, and what else only they need, is
imported by the first of them.
"""

from __future__ import annotations

import functools
import inspect
from functools import partialmethod, singledispatchmethod
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

from scout_core.boundary.bound_calls import BoundCall, Function, Original, bound_call_of
from scout_core.classes import attribute_of
from scout_core.recording.naming import type_name
from scout_core.recording.stepwise.function_like import FunctionLike
from scout_core.special_methods import forwarding, hides, special_names

_MARK: Final = "_scout_core_stand_in"
"""Attribute of the classes of this module, by which they are recognised."""
_HOLDERS: Final = (partialmethod, singledispatchmethod)
_VALUE: Final = "_self_scout_core_value"
"""Attribute of stand-ins of descriptors; wrapt keeps what begins with ``_self_`` from the original."""
_UNLIKE_WRAPT: Final = frozenset(
    {
        "__iter__", "__next__", "__aiter__", "__anext__", "__await__", "__enter__", "__aenter__", "__aexit__", "__length_hint__",
        "__fspath__",
    }
)  # fmt: skip
"""Special methods that wrapt lacks in one of its versions, has for objects that lack them, or where it returns the other object."""
_NOT_BOUND: Final = (BuiltinFunctionType, MethodType)
"""Types whose objects a class does not bind to its instances."""


def original_in_class(raw: Any, owner: type) -> Original:  # Any: whatever the library has there
    """Return an attribute of a class as a function for a wrapper."""
    inner = innermost(raw)
    kind = type(inner)
    if kind in _NOT_BOUND or not hasattr(kind, "__get__"):
        return original_in_module(raw)
    if issubclass(kind, staticmethod):
        return Original(raw, raw.__get__(None, owner))
    is_holder = issubclass(kind, _HOLDERS)
    like = inner.func if is_holder else getattr(inner, "__func__", inner)
    return bound_call_of(like, raw, is_passed_on=kind in (classmethod, partialmethod))


def original_in_module(raw: Any) -> Original:  # Any: whatever the library has there
    """Return an attribute of a module, or of a class that does not bind it."""
    call = _method_in(innermost(raw))
    if call is None:
        return Original(raw, raw)
    if call.__self__ is raw:
        return Original(raw, call)  # a method shows whether it is async, and its object does not
    if not inspect.iscoroutinefunction(call):
        return Original(raw, raw)
    return Original(raw, FunctionLike(call, raw))


def _method_in(raw: Any) -> MethodType | None:  # Any: whatever the library has there
    """The ``__call__`` of an object, which is ``async`` or not; None if it is not written in Python."""
    call = attribute_of(type(raw), "__call__")
    return MethodType(call, raw) if type(call) is FunctionType else None


def stand_in(original: Original, timed: Function) -> Any:  # Any: an object like the original
    """
    Return an object that behaves as the original, except that its calls are those of another function.

    Args:
        timed: takes what ``original.function`` takes.
    """

    def call_bound(wrapped: Function, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return timed(BoundCall(wrapped, () if instance is None else (instance,)), *args, **kwargs)

    def call(wrapped: Function, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return timed(*args, **kwargs)

    made = _class_for(type(original.raw))
    inner = innermost(original.raw)
    if original.takes_bound_call and not callable(inner) and not isinstance(inner, (classmethod, *_HOLDERS)):
        made = _class_of_descriptors(made)
    return made(original.raw, call_bound if original.takes_bound_call else call)


def value_given_by(found: Any) -> str:  # Any: whatever takes the place of a target
    """Return the class of a value that cannot be called, and that reading a replaced descriptor has given; empty if none has."""
    return getattr(found, _VALUE, "") if is_stand_in(found) else ""


def is_stand_in(found: object) -> bool:
    """Whether it was made here."""
    return attribute_of(type(found), _MARK) is not None


def innermost(raw: Any) -> Any:  # Any: whatever the library has there
    """Return what our own stand-ins have replaced."""
    while is_stand_in(raw):
        raw = raw.__wrapped__
    return raw


@functools.cache
def _classes() -> tuple[Any, Any]:  # Any: wrapt is not imported at the top
    """Return the class of stand-ins, and that of the objects that these become when they are bound."""
    import copy

    import wrapt

    def reduce_ex(self: Any, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def reduce(self: Any) -> Any:
        return self.__wrapped__.__reduce__()

    def own_copy(self: Any) -> Any:
        copied = copy.copy(self.__wrapped__)
        return self if copied is self.__wrapped__ else copied

    def deep_copy(self: Any, memo: dict[int, Any]) -> Any:
        copied = copy.deepcopy(self.__wrapped__, memo)
        return self if copied is self.__wrapped__ else copied

    copying = {"__reduce__": reduce, "__reduce_ex__": reduce_ex, "__copy__": own_copy, "__deepcopy__": deep_copy}
    bound = type("BoundStandIn", (wrapt.BoundFunctionWrapper,), {_MARK: True, "__module__": __name__, **copying})
    names = {_MARK: True, "__module__": __name__, "__bound_function_wrapper__": bound, **copying}
    return type("StandIn", (wrapt.FunctionWrapper,), names), bound


@functools.cache
def _class_of_descriptors(kind: Any) -> Any:  # Any: a class of stand-ins
    """Return the same class for descriptors that cannot be called themselves: what they give decides."""

    def get(self: Any, instance: Any, owner: Any = None) -> Any:
        raw = self.__wrapped__
        given = raw.__get__(instance, owner)
        if given is raw:  # as it was read from the class
            return self
        if not callable(given):
            setattr(self, _VALUE, type_name(type(given)))
            return given
        call = self._self_wrapper

        def call_given(wrapped: Function, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return call(wrapped, instance, args, kwargs)

        return _class_for(type(given))(given, call_given)

    return type(kind.__name__, (kind,), {"__module__": __name__, "__get__": get, _VALUE: ""})


def _class_for(kind: type) -> Any:  # Any: as above
    """Return the class of stand-ins for objects of a class: with the special methods that this has, where those of wrapt differ."""
    base, _ = _classes()
    has = special_names(kind)
    methods = {name: forwarding(name) for name in sorted(_UNLIKE_WRAPT) if name in has and not hides(kind, name)}
    # Some versions of wrapt have methods for everything, and a `__getitem__` over which Python would iterate.
    hidden = (special_names(base) & _UNLIKE_WRAPT) | {"__iter__"}
    if "__getitem__" in has and "__iter__" not in has:  # Python iterates over such objects, too
        methods["__iter__"] = forwarding("__iter__")
    return _class_with(tuple((methods | dict.fromkeys(sorted(hidden - methods.keys()))).items()))


@functools.cache
def _class_with(methods: tuple[tuple[str, Any], ...]) -> Any:  # Any: as above
    base, _ = _classes()
    return type(base.__name__, (base,), {"__module__": __name__, **dict(methods)}) if methods else base
