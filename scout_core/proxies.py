"""
Objects that stand for others, as a cursor or a response body whose methods are timed.

Everything that a proxy does not define itself is the other object's own: ``isinstance``, ``with``, iteration, ``len``, attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final


def _next(self: Any) -> Any:
    return self.__wrapped__.__next__()


def _iter(self: Any) -> Any:
    return iter(self.__wrapped__)


def _aiter(self: Any) -> Any:
    return self.__wrapped__.__aiter__()


def _anext(self: Any) -> Any:
    return self.__wrapped__.__anext__()


def _await(self: Any) -> Generator[Any, Any, Any]:
    return self.__wrapped__.__await__()  # type: ignore[no-any-return]


def _aenter(self: Any) -> Any:
    return self.__wrapped__.__aenter__()


def _aexit(self: Any, *error: Any) -> Any:
    return self.__wrapped__.__aexit__(*error)


def _length_hint(self: Any) -> int:
    return self.__wrapped__.__length_hint__()  # type: ignore[no-any-return]


def _fspath(self: Any) -> str | bytes:
    return self.__wrapped__.__fspath__()  # type: ignore[no-any-return]


_SPECIAL: Final[dict[str, Callable[..., Any]]] = {
    "__iter__": _iter, "__next__": _next, "__aiter__": _aiter, "__anext__": _anext, "__await__": _await, "__aenter__": _aenter,
    "__aexit__": _aexit, "__length_hint__": _length_hint, "__fspath__": _fspath,
}  # fmt: skip
"""Special methods that wrapt lacks in one of its versions, or has for objects that lack them."""


def special_methods(kind: type, base: type) -> dict[str, Any]:
    """
    Return the special methods that a proxy class needs in order to have those of a class, and no others.

    Args:
        kind: the class of the objects that are stood for.
        base: the proxy class, a subclass of one of wrapt's.

    Returns:
        Name to function; None in place of a function hides a method of ``base``, as Python's own classes do.
    """
    has, inherits = _names(kind), _names(base)
    if "__getitem__" in has:
        has.add("__iter__")  # Python iterates over such objects, too
    found: dict[str, Any] = {name: method for name, method in _SPECIAL.items() if name in has and name not in inherits}
    # Some versions have a `__getitem__` for everything, over which Python would iterate.
    hidden = {name for name in _SPECIAL if name in inherits} | {"__iter__"}
    return found | dict.fromkeys(hidden - has)


def _names(kind: type) -> set[str]:
    return {name for base in kind.__mro__ for name, value in vars(base).items() if value is not None}
