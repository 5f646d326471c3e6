"""Special methods, such as ``__len__``, for objects that stand for others: Python asks the class for them, and not the object."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Generator
from functools import cache
from typing import Any, Final

from scout_core.classes import attribute_of, bases_of, own_names

Method = Callable[..., Any]

_OF_THE_CLASS: Final = frozenset(
    {
        "__new__", "__init__", "__del__", "__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__reduce__",
        "__reduce_ex__", "__init_subclass__", "__subclasshook__", "__class_getitem__",
    }
)  # fmt: skip
"""Methods about the class, or about the object that stands for another."""
_FUNCTIONS: Final[dict[str, Method]] = {
    **{f"__{name.strip('_')}__": getattr(operator, name) for name in operator.__all__},
    "__iter__": iter, "__next__": next, "__aiter__": aiter, "__anext__": anext, "__reversed__": reversed, "__len__": len,
    "__bool__": bool, "__int__": int, "__float__": float, "__complex__": complex, "__round__": round, "__pow__": pow,
    "__divmod__": divmod, "__hash__": hash, "__repr__": repr, "__str__": str, "__bytes__": bytes, "__format__": format,
    "__dir__": dir, "__fspath__": os.fspath,
}  # fmt: skip
"""The function that Python calls a special method for; it also does what the method leaves to others, as ``a + b`` does."""
_MAY_BE_ITSELF: Final = frozenset({"__iter__", "__aiter__", "__enter__", *(f"__i{name}__" for name in (
    "add", "and", "concat", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift", "sub", "truediv", "xor",
))})  # fmt: skip
"""Methods that may return the object itself; then the object that stands for it is returned."""


def special_names(kind: type) -> frozenset[str]:
    """
    Return the special methods that a class has, except for those of ``object``. Runs no code of the class.

    A name is also included when the class hides the method of a base by None, as Python's own classes do.
    """
    special = {
        name: method
        for owner in reversed(bases_of(kind)[:-1])
        for name, method in own_names(owner).items()
        if name[:2] == "__" and name[-2:] == "__"
    }
    return frozenset(name for name, method in special.items() if callable(method) or method is None) - _OF_THE_CLASS


def hides(kind: type, name: str) -> bool:
    """Whether a class has None in place of a method."""
    return next((own_names(base)[name] is None for base in bases_of(kind) if name in own_names(base)), False)


@cache
def forwarding(name: str) -> Method:
    """Return a special method that is the one of ``self.__wrapped__``."""
    method = _ASYNC.get(name) or _of_operator(name) or _of_class(name)
    method.__name__ = name
    return method


def _of_operator(name: str) -> Method | None:
    function, reflected = _FUNCTIONS.get(name), _FUNCTIONS.get(f"__{name[3:]}") if name[:3] == "__r" else None
    if function is not None and name in _MAY_BE_ITSELF:

        def maybe_itself(self: Any, /, *args: Any) -> Any:
            return _or_self(self, function(self.__wrapped__, *args))

        return maybe_itself
    if function is not None:

        def operation(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return function(self.__wrapped__, *args, **kwargs)

        return operation
    if reflected is not None:

        def reflection(self: Any, other: Any, /) -> Any:
            return reflected(other, self.__wrapped__)

        return reflection
    return None


def _of_class(name: str) -> Method:
    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        found = _bound(self.__wrapped__, name)(*args, **kwargs)
        return _or_self(self, found) if name in _MAY_BE_ITSELF else found

    return method


def _bound(wrapped: Any, name: str) -> Any:  # Any: what Python would call
    kind = type(wrapped)
    found = attribute_of(kind, name)
    get = getattr(type(found), "__get__", None)
    return found if get is None else get(found, wrapped, kind)


def _or_self(self: Any, found: Any) -> Any:
    return self if found is self.__wrapped__ else found


def _call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    return self.__wrapped__(*args, **kwargs)


def _await(self: Any) -> Generator[Any, Any, Any]:
    return _or_self(self, (yield from _bound(self.__wrapped__, "__await__")()))


async def _aenter(self: Any) -> Any:
    return _or_self(self, await _bound(self.__wrapped__, "__aenter__")())


_ASYNC: Final[dict[str, Method]] = {"__call__": _call, "__await__": _await, "__aenter__": _aenter}
