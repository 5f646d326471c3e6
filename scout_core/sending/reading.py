"""Reports read from bytes: JSON, structured by cattrs. ``wire.py`` writes them, and has the public names of both."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Final

from cattrs import Converter, transform_error

from scout_core.errors import RejectedReport
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import SCHEMA, Report, TagValue
from scout_core.states import State

ANOTHER_SCHEMA: Final = "another schema"
"""Reason of a refusal: the report comes from an agent whose reports this version cannot read."""
MOST: Final = 1e20
"""No number but a tag is larger, up or down; no integer has more than 64 bits."""


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=False)
    converter.register_structure_hook(Histogram, lambda pairs, _: _histogram(pairs))
    converter.register_structure_hook(TagValue, lambda value, _: _tag_value(value))
    converter.register_structure_hook(float, lambda value, _: _number(value))
    converter.register_structure_hook(int, lambda value, _: _count(value))
    converter.register_structure_hook(bool, lambda value, _: _boolean(value))  # not an int here, unlike in Python
    converter.register_structure_hook(str, lambda value, _: _text(value))
    converter.register_structure_hook(State, lambda value, _: State(_text(value)))  # else it would be taken for a str
    return converter


def _histogram(pairs: Any) -> Histogram:  # Any: it comes from outside
    buckets = {_integer(bucket): _integer(count) for bucket, count in pairs}
    if any(count < 0 for count in buckets.values()) or any(abs(bucket) > 5_000 for bucket in buckets):
        raise ValueError("a bucket out of range")
    return Histogram(buckets)


def _tag_value(value: Any) -> TagValue:  # Any: it comes from outside
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, int) and abs(value) <= MOST:
        return value
    raise ValueError(f"a tag cannot hold a {type(value).__name__}")


def _number(value: Any) -> float:  # Any: it comes from outside
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST:
        raise ValueError("not a finite number")
    return float(value)


def _integer(value: Any) -> int:  # Any: it comes from outside
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**62:
        raise ValueError("not an integer")
    return value


def _count(value: Any) -> int:  # Any: it comes from outside
    if _integer(value) < 0:  # it would be subtracted from what is stored
        raise ValueError("not 0 or more")
    return int(value)


def _boolean(value: Any) -> bool:  # Any: it comes from outside
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _text(value: Any) -> str:  # Any: it comes from outside
    if not isinstance(value, str):
        raise ValueError("not a text")
    # Half a surrogate pair is valid JSON, but no file, database or answer can hold it.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


CONVERTER = _converter()


def decode(body: bytes) -> Report:
    """
    Read the report that ``encode`` made.

    Raises:
        RejectedReport: it is not JSON, has another schema, or a field is missing or wrong; the message names each field.
    """
    try:
        facts = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RejectedReport("the body is not JSON") from error
    if not isinstance(facts, dict):
        raise RejectedReport("the body is not a JSON object")
    schema = facts.get("schema")
    if schema != SCHEMA:
        raise RejectedReport(
            f"schema {str(schema)[:20]!r} is not {SCHEMA}: use the same version of scout-core on both sides",
            ANOTHER_SCHEMA if isinstance(schema, int) else "rejected",
        )
    try:
        return CONVERTER.structure(facts, Report)
    except Exception as error:  # cattrs groups what it found, of many types; each becomes a line
        raise RejectedReport("; ".join(transform_error(error)[:10])[:2_000]) from error
