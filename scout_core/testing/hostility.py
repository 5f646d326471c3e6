"""User objects that report being evaluated, and whether the plugin's part of a call is running."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

_EVALUATIONS: Final = (
    "__repr__", "__str__", "__format__", "__bytes__", "__bool__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__",
    "__hash__", "__len__", "__iter__", "__contains__", "__getitem__", "__int__", "__float__", "__index__",
)  # fmt: skip
_PLAIN: Final = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset)

in_plugin: ContextVar[bool] = ContextVar("scout_core_in_plugin", default=False)
"""Whether the code that runs is the plugin's part of a call, or the core processing its records."""


class Evaluations:
    """The number of hostile objects created, and the evaluations by the plugin."""

    def __init__(self) -> None:
        self.created = 0
        self.found: list[str] = []


_evaluations: Evaluations | None = None


@contextmanager
def collecting_evaluations() -> Iterator[Evaluations]:
    """Collect evaluations of all hostile objects."""
    global _evaluations
    before, _evaluations = _evaluations, Evaluations()
    try:
        yield _evaluations
    finally:
        _evaluations = before


class _Thing:
    """An empty user object."""

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(("hostile",))

    def __str__(self) -> str:
        return "hostile"


def hostile(value: Any = None) -> Any:  # Any: an instance of a subclass of the value's class
    """
    Return an object that reports when a plugin evaluates it: its repr, text, truth, length, items, equality or hash.

    The library may evaluate it. The plugin's describers must not, nor the core when it processes their records: a user's
    ``__repr__`` may query a database, and a ``__bool__`` may raise.

    Args:
        value: the object to imitate; the result is an instance of a subclass of its class. None: an empty object.

    Raises:
        TypeError: the class cannot be subclassed, like bool, or its objects cannot be copied.
    """
    if _evaluations is not None:
        _evaluations.created += 1
    value = _Thing() if value is None else value
    kind = type(value)
    methods = {name: _reporting(name, kind) for name in _EVALUATIONS if callable(getattr(kind, name, None))}
    watched: Any = type(f"Hostile{kind.__name__.strip('_').capitalize()}", (kind,), methods)
    if kind in _PLAIN:
        return watched(value)
    twin = copy.copy(value)
    twin.__class__ = watched
    return twin


def _reporting(name: str, kind: type) -> Callable[..., Any]:
    def evaluate(self: object, *args: object) -> object:
        if in_plugin.get() and _evaluations is not None:
            _evaluations.found.append(f"{name} of a {kind.__name__.strip('_').lower()}")
        return getattr(kind, name)(self, *args)

    return evaluate
