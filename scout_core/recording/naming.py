"""Operations, keys and values of tags as the application gives them: of any type and size, read without running code of theirs."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from scout_core.classes import exact
from scout_core.recording.limits.bounds import bounded
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from scout_core.recording.facts import Facts

_type_name: Final[Callable[[type], str]] = type.__dict__[
    "__name__"
].__get__  # a metaclass may raise for `kind.__name__`
_DECORATED: Final = (FunctionType, staticmethod, classmethod, property, type)
"""Types of what ``@span`` without parentheses is given as its operation."""


def shortened(span: Facts, key: str, value: str) -> str:
    """Return the part of a long text that is kept as a tag."""
    transaction = span.transaction
    if transaction is not None:
        transaction.tracer.values_cut += 1
    return bounded(value, is_statement=type(key) is str and key == "statement")  # type: ignore[no-any-return]  # a text


def has_error_tag(tags: dict[str, Any]) -> bool:
    """Whether the tag ``error`` is set to true."""
    tag = tags.get("error")
    kind: object = type(tag)  # other types, and their metaclasses, might run code when compared
    return (kind is bool or kind is int or kind is str) and tag in (True, "true")


def name_or_refuse(operation: object) -> str:
    """
    Return the name of an operation that is not exactly a ``str``.

    Raises:
        TypeError: it is a function or a class, because a decorator was written without parentheses.
    """
    kind = type(operation)
    if any(kind is decorated for decorated in _DECORATED):  # `in` could run code of a metaclass
        name = getattr(operation, "__name__", "it")
        raise TypeError(f"an operation is missing: write @span('Kind/name') or @transaction('Job/name') above {name}")
    return plain_name(operation)


def plain_name(name: object) -> str:
    """Return an exact ``str`` for a name of any type, without running code of that type."""
    kind = type(name)
    if issubclass(kind, str):
        return exact(name)  # type: ignore[arg-type]
    return f"<{type_name(kind)}>"


def plain_key(span: Facts, key: object) -> str:
    """The same for the key of a tag, which may be very long."""
    name = plain_name(key)
    if len(name) > KEY_READ and span.transaction is not None:
        span.transaction.tracer.values_cut += 1
    return name[:KEY_READ]


def type_name(kind: type) -> str:
    """Return the name of a class without running code of its metaclass, or of a subclass of ``str``."""
    return exact(_type_name(kind))
