"""Map Python types to kinds of values, so that plugins declare their options with ordinary annotations.

cattrs could do this, but importing it takes 63 ms of CPU (Python 3.11), more than a whole start may take. It would also need
a hook for each kind: for text from the environment, for limits, and for messages that name what was expected.
"""

from __future__ import annotations

import re
import sys
import types
import typing
from collections import abc
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Final

from scout_core.config import kinds
from scout_core.config.kinds import Change, Kind
from scout_core.config.library_types import library_kind, library_types, pattern_kind

_PLAIN: Final[dict[Any, Kind]] = {
    bool: kinds.BOOLEAN,
    int: kinds.INTEGER,
    float: kinds.NUMBER,
    str: kinds.TEXT,
    Path: kinds.PATH,
    Any: kinds.ANYTHING,
    object: kinds.ANYTHING,
}
_LISTS: Final[dict[Any, Callable[[list[Any]], Any]]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: tuple,
    abc.Iterable: tuple,
    abc.Collection: tuple,
    abc.Set: frozenset,
}
_TABLES: Final = (dict, abc.Mapping)
_USUAL: Final = {**vars(typing), **vars(abc), "Path": Path}


def kind_of(annotation: Any) -> Kind:  # Any, here and below: a type, or a form of the typing module
    """
    Return the kind of value that a type describes.

    Raises:
        TypeError: options cannot have this type.
    """
    if annotation in (None, type(None)):
        return kinds.choice_of([None], ["nothing"])
    kind = _PLAIN.get(annotation) if isinstance(annotation, abc.Hashable) else None
    if kind is not None:
        return kind
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind_of(arguments[0])
    renamed = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
    if renamed is not None:  # NewType, and Python 3.12's "type Name = …"
        return kind_of(renamed)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return kinds.choice_of(arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _enum(annotation)
    if origin is re.Pattern and arguments == (str,):
        return pattern_kind(re.Pattern)
    kind = None if arguments else library_kind(annotation)
    if kind is not None:
        return kind
    return _container(origin or annotation, arguments, annotation)


def _container(container: Any, arguments: tuple[Any, ...], annotation: Any) -> Kind:
    if container is tuple and arguments and arguments[-1] is not Ellipsis:
        return _fixed([kind_of(argument) for argument in arguments])
    if container in _LISTS:
        item = arguments[0] if arguments else str
        make = _LISTS[container]
        return kinds.list_of(kinds.WORD, make, plural="texts") if item is str else kinds.list_of(kind_of(item), make)
    if container in _TABLES:
        key, value = arguments or (str, str)
        return kinds.table_of(kind_of(value), key=kind_of(key))
    raise TypeError(f"options cannot have the type {_spelled(annotation)}")


def _union(arguments: tuple[Any, ...]) -> Kind:
    """
    The first member, in the order of the annotation, that accepts the value.

    A value that already has the type of a member keeps it, unless it is text: ``5`` from the environment is a number for ``str | int``.
    """
    members = {argument: kind_of(argument) for argument in arguments if argument is not type(None)}

    def convert(value: Any) -> Any:
        own = () if isinstance(value, str) else tuple(member for member in members if member is type(value))
        for member in (*own, *members):
            try:
                return members[member].read(value)
            except ValueError:
                continue
        raise ValueError

    kind, *others = members.values()
    if others:
        kind = Kind(" or ".join(member.expected for member in members.values()), convert)
    return kinds.optional(kind) if len(members) < len(arguments) else kind


def _enum(annotation: type[Enum]) -> Kind:
    """Members are given by value or name, and shown by value where that is text."""
    members = list(annotation)
    texts = [member.value if isinstance(member.value, str) else member.name for member in members]
    by_text = kinds.choice_of(members, texts)
    values = kinds.choice_of([member.value for member in members])

    def convert(value: Any) -> Any:
        if isinstance(value, annotation):
            return value
        if isinstance(value, str) and value.strip() in annotation.__members__:
            return annotation[value.strip()]
        try:
            return by_text.read(value)
        except ValueError:
            return annotation(values.read(value))

    return Kind(by_text.name, convert)


def _fixed(items: list[Kind]) -> Kind:
    """A tuple of a fixed length, each item of its own kind."""

    def convert(value: Any) -> tuple[Any, ...]:
        parts = list(value.split(",") if isinstance(value, str) else value)
        return tuple(item.read(part) for item, part in zip(items, parts, strict=True))

    def with_values(change: Change, _: Change) -> Kind:
        return _fixed([change(item) for item in items])

    form = f"separated by commas: {', '.join(item.name for item in items)}"
    return Kind(f"a list of {len(items)} values", convert, form, with_values=with_values)


def resolve(text: str, owner: type) -> Any:
    """
    Evaluate an annotation that is text, as under ``from __future__ import annotations``.

    Args:
        owner: the class it is written in, or one that inherits from that.

    Raises:
        TypeError: a name in it is not defined in the module of the class. The usual ones are known also where they are imported
            for type checkers only: those of ``typing`` and ``collections.abc``, ``Path``, and those of ``library_types.py``.
    """
    for base in owner.__mro__[:-1]:
        holder = type(base.__name__, (), {"__annotations__": {"type": text}, "__module__": base.__module__})
        for is_usual in (True, False):
            names = {**(_USUAL if is_usual else library_types()), **vars(sys.modules.get(base.__module__, types))}
            try:
                return typing.get_type_hints(holder, localns=names, include_extras=True)["type"]
            except Exception:  # noqa: BLE001, S112  # an annotation is the plugin's own code
                continue
    raise TypeError(f"the type {text} cannot be resolved; import its names when the module runs")


def _spelled(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)
