"""Mappings that cannot be changed: reports consist of them, because several exporters and hooks share one report."""

from __future__ import annotations

from typing import Any, Final, NoReturn, TypeVar

from attrs import Attribute

_K = TypeVar("_K")
_V = TypeVar("_V")
_MAPPINGS: Final = ("dict[", "Tags")
"""Beginnings of the types of fields that are mappings."""


class ReadOnlyDict(dict[_K, _V]):
    """
    A ``dict`` that refuses changes; ``dict(it)`` is a copy that does not.

    It is a ``dict``, unlike ``MappingProxyType``, so that it can be pickled, and encoded by every library that encodes a ``dict``.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "a report cannot be changed; change a copy, such as dict(report.counters) or attrs.asdict(report)"
        )

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:  # Any: as pickle defines it
        return type(self), (dict(self),)


def read_only(value: Any) -> Any:  # Any: whatever is given for a field
    """Return a mapping as one that cannot be changed, and those in it; anything else as it is."""
    if type(value) is ReadOnlyDict or not isinstance(value, dict):
        return value
    return ReadOnlyDict({key: read_only(inner) if isinstance(inner, dict) else inner for key, inner in value.items()})


def with_read_only_mappings(
    _: type, fields: list[Attribute[Any]]
) -> list[Attribute[Any]]:  # Any: each has its own type
    """Convert every field that is a mapping: a ``field_transformer`` of attrs."""
    return [field.evolve(converter=read_only) if str(field.type).startswith(_MAPPINGS) else field for field in fields]
