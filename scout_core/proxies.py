"""
Objects that stand for others, as a cursor or a response body whose methods are timed.

A class can be wrapped by ``wrap``, and that is better wherever it can be done. A proxy is for objects whose class is written in C
and refuses new attributes, and for single objects that have no class of their own.

Use a proxy only where no code written in C gets it. Such code examines the memory of the object, and not its attributes: a
``cursor_factory`` that returns a proxy to psycopg2 ends the process with a segmentation fault, and ``sqlite3.Connection.backup`` or
``psycopg2.extras.register_uuid`` raise a ``TypeError``. Pass ``proxy.__wrapped__`` to them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

_Self = TypeVar("_Self", bound="Proxy")


class Proxy:
    """
    The base of a class whose objects stand for others: whatever it does not define is the other object's own.

    ``isinstance``, ``with``, ``async with``, iteration, ``len``, ``await``, attributes, pickling and copying are those of the other
    object, which is ``proxy.__wrapped__``; what is pickled or copied is the other object. Special methods that it lacks are missing.
    Where it returns itself, as a connection does in ``with``, the proxy does. Attributes whose name begins with ``_self_`` are the
    proxy's own. ``wrapt`` is imported when the first object is made, or when the first target of ``wrap.around`` is wrapped.

    Args:
        wrapped: the object to stand for. An ``__init__`` of the class must pass it on to ``super().__init__``.
    """

    __slots__ = ()

    def __new__(cls: type[_Self], wrapped: Any, *args: Any, **kwargs: Any) -> _Self:
        """Return an object of a class that has the special methods of the other object's class."""
        kind: Any = cls  # Any: mypy takes a class for an object without a hash
        made = _class_of(kind, tuple(special_methods(type(wrapped), _base()).items()))
        return _base().__new__(made)  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return self.__wrapped__.__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)

    if TYPE_CHECKING:  # wrapt has these
        __wrapped__: Any

        def __init__(self, wrapped: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...


def prepare() -> None:
    """Import ``wrapt`` now, if there is any class of proxies: inside the import of a library, and not in a request."""
    if Proxy.__subclasses__():
        _base()


@cache
def _base() -> Any:  # Any: wrapt is not imported at the top
    import wrapt

    return wrapt.ObjectProxy


@lru_cache(maxsize=256)
def _class_of(kind: Any, methods: tuple[tuple[str, Any], ...]) -> Any:  # Any: a class of proxies
    """Return a class of proxies together with wrapt's: its own methods come first, then the special ones, then all others."""
    special = type("SpecialMethods", (_base(),), {"__module__": __name__, **dict(methods)})
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, special), names)


def _or_self(self: Any, found: Any) -> Any:
    return self if found is self.__wrapped__ else found


def _call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
    return self.__wrapped__(*args, **kwargs)


def _iter(self: Any) -> Any:
    return _or_self(self, iter(self.__wrapped__))


def _next(self: Any) -> Any:
    return self.__wrapped__.__next__()


def _aiter(self: Any) -> Any:
    return _or_self(self, self.__wrapped__.__aiter__())


def _anext(self: Any) -> Any:
    return self.__wrapped__.__anext__()


def _await(self: Any) -> Generator[Any, Any, Any]:
    return _or_self(self, (yield from self.__wrapped__.__await__()))


def _enter(self: Any) -> Any:
    return _or_self(self, self.__wrapped__.__enter__())


async def _aenter(self: Any) -> Any:
    return _or_self(self, await self.__wrapped__.__aenter__())


def _aexit(self: Any, *error: Any) -> Any:
    return self.__wrapped__.__aexit__(*error)


def _length_hint(self: Any) -> int:
    return self.__wrapped__.__length_hint__()  # type: ignore[no-any-return]


def _fspath(self: Any) -> str | bytes:
    return self.__wrapped__.__fspath__()  # type: ignore[no-any-return]


_SPECIAL: Final[dict[str, Callable[..., Any]]] = {
    "__call__": _call, "__iter__": _iter, "__next__": _next, "__aiter__": _aiter, "__anext__": _anext, "__await__": _await,
    "__enter__": _enter, "__aenter__": _aenter, "__aexit__": _aexit, "__length_hint__": _length_hint, "__fspath__": _fspath,
}  # fmt: skip
"""Special methods that wrapt lacks in one of its versions, has for objects that lack them, or where it returns the other object."""


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
    found: dict[str, Any] = {name: method for name, method in _SPECIAL.items() if name in has}
    if "__call__" in inherits:  # the base is about calls
        found.pop("__call__", None)
    # Some versions have a `__getitem__` for everything, over which Python would iterate.
    hidden = (inherits & _SPECIAL.keys()) - {"__call__"} | {"__iter__"}
    return found | dict.fromkeys(sorted(hidden - has))


def _names(kind: type) -> set[str]:
    return {name for base in kind.__mro__ for name, value in vars(base).items() if value is not None}
