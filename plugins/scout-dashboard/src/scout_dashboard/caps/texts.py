"""The limits of texts: of every field of a report, as its classes declare them, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import is_
from types import NoneType
from typing import Any, Final, get_args, get_origin, get_type_hints

from attrs import evolve, fields, has

from scout_core.measuring.report import Report
from scout_dashboard.caps.cutting import Cutter

LONGEST_NAME: Final = 500
"""Characters of a text that is not in ``_LONG``, and of every key."""
LONGEST_TEXT: Final = 20_000
_LONG: Final = frozenset({
    "operation", "tags", "message", "notes", "title", "reason", "last_error", "detail", "advice", "subject", "text", "commands",
    "target", "not_found",
})  # fmt: skip
"""Fields that may have sentences, statements, or many words."""

Cut = Callable[[Any, Cutter], Any]
"""Returns a value with its texts cut; the same object where none is too long. Any: each field has its own type."""


def texts_within(report: Report, cutter: Cutter) -> Report:
    """Return a report with the beginnings of texts that are too long."""
    cut = _cut_of(Report, LONGEST_NAME)
    found: Report = report if cut is None else cut(report, cutter)
    return found


@cache
def _cut_of(kind: Any, most: int) -> Cut | None:  # Any: a type, or what ``typing`` has for one
    """Return the function that cuts the texts of values of a type; None for a type that has none."""
    origin, inner = get_origin(kind), [part for part in get_args(kind) if part not in (NoneType, ...)]
    if kind is str:
        return lambda text, cutter: cutter.text(text, most)
    if origin is dict:
        return _of_mapping(_cut_of(inner[1], most))
    if has(kind):
        return _of_object(kind)
    cuts = [_cut_of(part, most) for part in inner]
    if not any(cuts):
        return None
    if origin is tuple:
        return _of_tuple(cuts[0]) if ... in get_args(kind) else _of_record(cuts)
    return _of_union(tuple((get_origin(part) or part, cut) for part, cut in zip(inner, cuts, strict=True) if cut))


def _of_union(cuts: tuple[tuple[Any, Cut], ...]) -> Cut:
    def cut_value(value: Any, cutter: Cutter) -> Any:
        return next((cut(value, cutter) for kind, cut in cuts if isinstance(value, kind)), value)

    return cut_value


def _of_tuple(cut: Cut | None) -> Cut:
    def cut_items(values: Any, cutter: Cutter) -> Any:
        if cut is None:
            return values
        found = [cut(value, cutter) for value in values]
        return values if all(map(is_, found, values)) else tuple(found)

    return cut_items


def _of_record(cuts: list[Cut | None]) -> Cut:
    def cut_record(values: Any, cutter: Cutter) -> Any:
        return tuple(value if cut is None else cut(value, cutter) for value, cut in zip(values, cuts, strict=True))

    return cut_record


def _of_mapping(cut: Cut | None) -> Cut:
    def cut_items(values: Any, cutter: Cutter) -> Any:
        is_cut = False
        found: dict[str, Any] = {}
        for key, value in values.items():
            new = value if cut is None else cut(value, cutter)
            short = key if len(key) <= LONGEST_NAME else _free(cutter.text(key, LONGEST_NAME), values, found)
            is_cut = is_cut or new is not value or short is not key
            found[short] = new
        return found if is_cut else values

    return cut_items


def _of_object(kind: type[Any]) -> Cut | None:
    types = get_type_hints(kind)
    cuts: dict[str, Cut] = {}
    for field in fields(kind):
        cut = _cut_of(types[field.name], LONGEST_TEXT if field.name in _LONG else LONGEST_NAME)
        if cut is not None:
            cuts[field.name] = cut

    def cut_fields(value: Any, cutter: Cutter) -> Any:
        changed = {}
        for name, cut in cuts.items():
            before = getattr(value, name)
            after = cut(before, cutter)
            if after is not before:
                changed[name] = after
        return evolve(value, **changed) if changed else value

    return cut_fields if cuts else None


def _free(key: str, values: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a key that no other entry has, so that nothing is lost."""
    number = len(found)
    while key in values or key in found:
        number += 1
        key = f"{key[: LONGEST_NAME - 10]}… {number}"
    return key
