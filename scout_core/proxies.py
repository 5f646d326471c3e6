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
from functools import lru_cache
from typing import Any, Final, TypeVar

from scout_core.special_methods import forwarding, hides, special_names

_Self = TypeVar("_Self", bound="Proxy")
_OWN: Final = "__wrapped__"
_set_own: Final = object.__setattr__
_delete_own: Final = object.__delattr__
_OF_EVERY_OBJECT: Final = frozenset(
    {
        "__repr__", "__str__", "__format__", "__hash__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__dir__",
        "__sizeof__",
    }
)  # fmt: skip
"""Special methods that ``object`` has, which are the other object's, too."""


class Proxy:
    """
    The base of a class whose objects stand for others: whatever it does not define is the other object's own.

    ``isinstance``, ``with``, ``async with``, iteration, ``len``, ``await``, attributes, pickling and copying are those of the other
    object, which is ``proxy.__wrapped__``; what is pickled or copied is the other object. A special method is there only if the other
    object has it: neither ``hasattr`` nor ``isinstance(proxy, Sized)`` finds a ``__len__`` that it lacks. Where it returns itself, as a
    connection does in ``with``, the proxy does. Attributes whose name begins with ``_self_`` are the proxy's own.

    Args:
        wrapped: the object to stand for. An ``__init__`` of the class must pass it on to ``super().__init__``.
    """

    __slots__ = (_OWN,)

    __wrapped__: Any

    def __new__(cls: type[_Self], wrapped: Any, *args: Any, **kwargs: Any) -> _Self:
        """Return an object of a class that has the special methods of the other object's class."""
        kind: Any = cls  # Any: mypy takes a class for an object without a hash
        of: Any = type(wrapped)
        made: _Self = object.__new__(_class_of(kind, of))
        _set_own(made, _OWN, wrapped)
        return made

    def __init__(self, wrapped: Any) -> None:
        _set_own(self, _OWN, wrapped)

    @property  # type: ignore[misc]  # isinstance() falls back on it
    def __class__(self) -> Any:
        return self.__wrapped__.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, _OWN), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if _is_own(self, name):
            _set_own(self, name, value)
        else:
            setattr(self.__wrapped__, name, value)

    def __delattr__(self, name: str) -> None:
        if _is_own(self, name):
            _delete_own(self, name)
        else:
            delattr(self.__wrapped__, name)

    def __reduce__(self) -> Any:
        return self.__wrapped__.__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self.__wrapped__, memo)


def _is_own(proxy: Proxy, name: str) -> bool:
    """Whether an attribute is the proxy's, or is defined by its class."""
    return name.startswith("_self_") or hasattr(type(proxy), name)


@lru_cache(maxsize=256)
def _class_of(kind: Any, wrapped: Any) -> Any:  # Any: a class of proxies
    """Return a class of proxies with the special methods of another class; those that it defines itself come first."""
    names = special_names(wrapped) | _OF_EVERY_OBJECT
    methods = {name: None if hides(wrapped, name) else forwarding(name) for name in sorted(names - vars(Proxy).keys())}
    special = type("SpecialMethods", (), {"__slots__": (), "__module__": __name__, **methods})
    own = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind, special), own)
