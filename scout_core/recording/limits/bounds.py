"""
Limits on what a transaction holds until the agent's thread has read it: a tag may be a text of many megabytes, or anything.

They are applied on the application's thread, by ``bounding.py``. The type and the length of plain values are read, and no code of
the application runs. What is too long is shortened; what is not plain, and so may hold any number of bytes, is replaced by the name
of its type, as a trace shows it.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any, Final

from scout_core.classes import exact
from scout_core.tag_values import KEY_READ, LARGEST, MOST_TAGS, PATHS, SMALL_TYPES, is_type

LONGEST_TEXT: Final = 16_384
"""Characters of a text that are kept: the most that is read of any, which is an SQL statement."""
LONGEST_NAME: Final = 300
"""Characters of an operation that are kept."""
MOST_TEXT: Final = 2_000_000
"""Characters in the tags of one transaction; further spans are kept without their tags."""
TRANSACTION_SIZE: Final = 1_600
"""Bytes of a transaction without spans and tags, about."""
_MOST_ITEMS: Final = 64
_LONGEST_ITEM: Final = 256
_MOST_DIGITS: Final = 2_000
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)


class Bounded:
    """The result for tags that had to be looked at closely."""

    __slots__ = ("tags", "size", "cut", "dropped", "is_changed")

    def __init__(self, tags: dict[str, Any]) -> None:
        self.tags: dict[str, Any] = {}
        self.size = 0
        """Bytes, about."""
        self.cut = 0
        """Values and keys that were shortened, or replaced by the name of their type."""
        self.dropped = max(0, len(tags) - MOST_TAGS)
        self.is_changed = self.dropped > 0
        for key, value in list(tags.items())[:MOST_TAGS]:
            short_key = _bounded_key(key)
            short = bounded(value, is_statement=short_key == "statement")
            self.tags[short_key] = short
            if short is not value or short_key is not key:
                self.is_changed = True
                self.cut += _is_cut(value, short) or _is_cut(key, short_key)
            self.size += _size(short_key) + _size(short)


def _is_cut(before: Any, after: Any) -> bool:
    """Whether it lost something; a text or number of a subclass only became a plain one."""
    kind = type(before)
    if issubclass(kind, str):
        return str.__len__(before) != len(after)
    return before is not after and type(after) in (str, bytes)


def _size(value: Any) -> int:
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    return _MOST_ITEMS * _LONGEST_ITEM // 8 if _is_among(kind, _CONTAINERS) else 64


def _is_among(kind: type, kinds: tuple[type, ...]) -> bool:
    """Whether it is one of them; ``in`` would call the ``__eq__`` of a metaclass."""
    return any(kind is known for known in kinds)


def bounded(value: Any, *, is_statement: bool = False) -> Any:  # Any: whatever the application sets as a tag
    """Return the value if it is small, the beginning of a text or of bytes, or else the name of its type. Runs no foreign code."""
    kind = type(value)
    if kind is str:
        if len(value) <= LONGEST_TEXT:
            return value
        return f"<statement of {len(value)} characters>" if is_statement else value[:LONGEST_TEXT]
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -LARGEST < value < LARGEST else "<int>"
    if kind is bytes:
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT]
    if issubclass(kind, str):
        return bounded(exact(value), is_statement=is_statement)
    if issubclass(kind, Enum):
        return value  # its class holds it
    if issubclass(kind, int):
        return bounded(int.__add__(value, 0))
    if issubclass(kind, float):
        return float.__add__(value, 0.0)
    if _is_small(value, kind) or _is_small_container(value, kind):
        return value
    return f"<{_type_name(kind)}>"


def bounded_container(value: Any) -> Any:  # Any: a part of an exception
    """Return a list, dict or the like if it is small, or else the name of its type; anything else as it is."""
    kind = type(value)
    if kind is bytearray or (_is_among(kind, _CONTAINERS) and not _is_small_container(value, kind)):
        return f"<{_type_name(kind)}>"
    return value


def bounded_text(text: Any, limit: int) -> Any:  # Any: what a framework's plugin has put there
    """Return a text as an exact ``str`` of at most ``limit`` characters; anything else as it is."""
    kind = type(text)
    return str.__getitem__(text, slice(limit)) if issubclass(kind, str) else text


def _bounded_key(key: Any) -> Any:  # Any: `tags` is a dict that the application can fill directly
    kind = type(key)
    if kind is str:
        return key if len(key) <= KEY_READ else key[:KEY_READ]
    if issubclass(kind, str):
        return str.__getitem__(key, slice(KEY_READ))
    return bounded(key) if key is None or issubclass(kind, (int, float, Enum)) else f"<{_type_name(kind)}>"


def _is_small(value: Any, kind: type) -> bool:
    for name, module in SMALL_TYPES.items():
        if is_type(module, name, kind):
            return True
    if is_type("decimal", "Decimal", kind):
        return sys.getsizeof(value) <= _MOST_DIGITS
    return any(is_type("pathlib", name, kind) for name in PATHS) and _path_length(value) <= LONGEST_TEXT


def _path_length(path: Any) -> int:  # Any: a class of pathlib
    # Python 3.12 never frees the parts of a path that was converted to text (it interns them), so long ones must not be.
    raw = getattr(path, "_raw_paths", None)  # Python >= 3.12
    return len(str(path)) if raw is None else sum(map(len, raw))


def _is_small_container(value: Any, kind: type) -> bool:
    """Whether it has few items, also in containers within it, which are plain and short."""
    if not _is_among(kind, _CONTAINERS):
        return False
    left = _MOST_ITEMS
    containers = [value]
    while containers:
        container = containers.pop()
        left -= len(container)
        if left < 0:
            return False
        try:
            items = [*container, *container.values()] if type(container) is dict else list(container)
        except RuntimeError:  # another thread changes it
            return False
        for item in items:
            of = type(item)
            if of is str or of is bytes:
                if len(item) > _LONGEST_ITEM:
                    return False
            elif _is_among(of, _CONTAINERS):
                containers.append(item)
            elif not (item is None or of is bool or of is float or (of is int and -LARGEST < item < LARGEST)):
                return False
    return True


def _type_name(kind: type) -> str:
    return str.__getitem__(type.__dict__["__name__"].__get__(kind), slice(100))
