"""
Reports as bytes and back: JSON. Imported by those who send or receive, never by an application's thread.

Writing needs no cattrs, which would cost each process 3 MB and 60 ms of CPU; reading, elsewhere, imports it when it is first used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, fields

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import Report
from scout_core.sending.fitting import Part, fit
from scout_core.sending.intake import CONTENT_TYPE
from scout_core.threads import breathe

if TYPE_CHECKING:
    from scout_core.sending.reading import ANOTHER_SCHEMA, CONVERTER, decode

__all__ = ["ANOTHER_SCHEMA", "CONTENT_TYPE", "CONVERTER", "decode", "encode", "encode_within"]

_IN_SLICES: Final = ("transactions", "traces", "plugins", "error_groups", "operations")
"""Fields of a report that are encoded one part after another: a whole report may take 100 ms."""


def __getattr__(name: str) -> Any:  # Any: each name has its own type
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scout_core.sending import reading

    globals()[name] = value = getattr(reading, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def encode(report: Report) -> bytes:
    """The report as UTF-8 JSON."""
    rest = _members(evolve(report, transactions=(), traces=(), plugins=(), error_groups=(), operations=()))
    members = [
        f'"{key}":[{",".join(_slices(getattr(report, key)))}]' if key in _IN_SLICES else f'"{key}":{_text_of(value)}'
        for key, value in rest.items()
    ]
    return f"{{{','.join(members)}}}".encode("utf-8", "replace")


def encode_within(report: Report, most: int) -> tuple[bytes, Report]:
    """
    Encode as much of a report as fits into a number of bytes, and return it with what was encoded.

    The figures are complete in any case. When they do not fit even by themselves, the result is larger.
    """
    body = encode(report)
    if len(body) <= most:
        return body, report
    smaller = fit(report, most, lambda part: len(_dump(part)) + 1)
    return encode(smaller), smaller


def _slices(parts: Iterable[Part]) -> Iterator[str]:
    """Yield the JSON of each part; between two of them other greenlets run."""
    for part in parts:
        yield _text_of(part)
        breathe()


def _dump(part: Part) -> bytes:
    return _text_of(part).encode("utf-8", "replace")


def _text_of(facts: object) -> str:
    return _encode_json(facts)


def _members(value: Any) -> dict[str, Any]:  # Any: an object of one of the classes of a report, and its fields
    return {name: getattr(value, name) for name in _names(type(value))}  # type: ignore[arg-type]  # mypy doubts that a class can be hashed


@lru_cache(maxsize=100)
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _plain(value: Any) -> object:  # Any: what JSON does not know
    """
    Return what stands for an object.

    Raises:
        NotAnAttrsClassError: a report has no such objects, so a plugin has put it there.
    """
    return sorted(value.buckets.items()) if isinstance(value, Histogram) else _members(value)


_encode_json: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode
