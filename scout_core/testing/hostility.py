"""User objects that notice being evaluated, and where we are while a call is probed."""

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
"""Whether what runs here is the plugin's part of a call, or what the core makes of it."""


class Notes:
    """How many hostile objects there were, and what the plugin evaluated."""

    def __init__(self) -> None:
        self.made = 0
        self.evaluated: list[str] = []


_notes: Notes | None = None


@contextmanager
def noting() -> Iterator[Notes]:
    """Collect from all hostile objects."""
    global _notes
    before, _notes = _notes, Notes()
    try:
        yield _notes
    finally:
        _notes = before


class _Thing:
    """A user's object with nothing in it."""

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(("hostile",))

    def __str__(self) -> str:
        return "hostile"


def hostile(value: Any = None) -> Any:  # Any: it stands for whatever was given
    """
    A user's object that notes each time that a plugin evaluates it: its repr, text, truth, length, items, equality, hash.

    The library may evaluate it as it likes; in the plugin's describers, and where the core works on what they recorded, it
    must not be. A user's ``__repr__`` may ask a database, and a ``__bool__`` may raise.

    Args:
        value: what it is otherwise equal to; an instance of a subclass of its class is made. None: of a class of our own.

    Raises:
        TypeError: the class cannot have subclasses, as bool, or objects of it cannot be copied.
    """
    if _notes is not None:
        _notes.made += 1
    value = _Thing() if value is None else value
    kind = type(value)
    noted = {name: _noted(name, kind) for name in _EVALUATIONS if callable(getattr(kind, name, None))}
    watched: Any = type(f"Hostile{kind.__name__.strip('_').capitalize()}", (kind,), noted)
    if kind in _PLAIN:
        return watched(value)
    twin = copy.copy(value)
    twin.__class__ = watched
    return twin


def _noted(name: str, kind: type) -> Callable[..., Any]:
    def evaluate(self: object, *args: object) -> object:
        if in_plugin.get() and _notes is not None:
            _notes.evaluated.append(f"{name} of a {kind.__name__.strip('_').lower()}")
        return getattr(kind, name)(self, *args)

    return evaluate
