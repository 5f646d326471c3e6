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

_MARK: Final = "_scout_core_stand_in"
"""Attribute of the classes of this module, by which they are recognised."""
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
    is_holder = issubclass(kind, (partialmethod, singledispatchmethod))
    return bound_call_of(inner.func if is_holder else getattr(inner, "__func__", inner), raw)


def original_in_module(raw: Any) -> Original:  # Any: whatever the library has there
    """Return an attribute of a module, or of a class that does not bind it."""
    call = _method_in(innermost(raw))
    if call is None:
        return Original(raw, raw)
    if call.__self__ is raw:
        return Original(raw, call)  # a method shows whether it is async, and its object does not
    if not inspect.iscoroutinefunction(call):
        return Original(raw, raw)

    @functools.wraps(call)
    async def function(*args: Any, **kwargs: Any) -> Any:
        return await raw(*args, **kwargs)

    return Original(raw, function)


def _method_in(raw: Any) -> MethodType | None:  # Any: whatever the library has there
    """The ``__call__`` of an object, which is ``async`` or not; None if it is not written in Python."""
    call = next((vars(base)["__call__"] for base in type(raw).__mro__ if "__call__" in vars(base)), None)
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

    return _class_for(type(original.raw))(original.raw, call_bound if original.takes_bound_call else call)


def is_stand_in(found: object) -> bool:
    """Whether it was made here."""
    return any(_MARK in vars(base) for base in type(found).__mro__)


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


def _class_for(kind: type) -> Any:  # Any: as above
    """Return the class of stand-ins for objects of a class: with the special methods that this has, and no others."""
    from scout_core.proxies import special_methods

    return _class_with(tuple(special_methods(kind, _classes()[0]).items()))


@functools.cache
def _class_with(methods: tuple[tuple[str, Any], ...]) -> Any:  # Any: as above
    base, _ = _classes()
    return type(base.__name__, (base,), {"__module__": __name__, **dict(methods)}) if methods else base
