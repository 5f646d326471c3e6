"""Checks of each column of a day's file: whether pages can show a value, and reports can be added to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import Factory, frozen

from scout_core.measuring.report import Counters, ErrorExample, PluginStatus, Process, Trace
from scout_core.sending.wire import CONVERTER
from scout_dashboard.store.bodies import unpack
from scout_dashboard.store.files import Kind
from scout_dashboard.store.packing import is_packed

Check = Callable[[Any], object]
"""Returns False, or raises, for a value that cannot be read. Any: whatever SQLite has stored."""

_MOST: Final = 1e20
_MOST_COUNTED: Final = 2**53
_LAST_BUCKET: Final = 5_000
_LATEST: Final = 10**11


@frozen(kw_only=True)
class _Before:
    seen: float
    gauges: dict[str, dict[str, float]]


@frozen(kw_only=True)
class _Facts:
    """The facts of a process; those with a default are missing where an earlier version wrote them."""

    process: Process
    plugins: tuple[PluginStatus, ...]
    counters: dict[str, Counters]
    left_out: dict[str, int] = Factory(dict)
    corrected: dict[str, int] = Factory(dict)
    gauges: dict[str, dict[str, float]] = Factory(dict)
    gauges_before: _Before | None = None
    period: float | None = None
    transactions: int = 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= _MOST


def _whole(least: int, most: int) -> Check:
    return lambda value: isinstance(value, int) and least <= value <= most


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _json(check: Check) -> Check:
    return lambda value: isinstance(value, str) and check(json.loads(value))


def _structured(shape: Any) -> Check:
    def check(value: Any) -> bool:
        CONVERTER.structure(value, shape)
        return True

    return check


def _kinds(value: Any) -> bool:
    return all(
        _count(calls) and _count(errors) and _number(total) and _number(own)
        for calls, errors, total, own in value.values()
    )


def _outcomes(value: Any) -> bool:
    return all(map(_count, value.values()))


def _shares(length: int) -> Check:
    return lambda value: all(
        int(place) >= 0 and len(figures) == length and all(map(_count, figures)) for place, figures in value.items()
    )


def _histogram(value: Any) -> bool:
    return isinstance(value, bytes) and is_packed(value, last=_LAST_BUCKET, most=_MOST_COUNTED)


def _body(value: Any) -> bool:
    trace = unpack(value, Trace)
    ids = {span.id for span in trace.spans}
    return len(ids) == len(trace.spans)


def _example(value: Any) -> object:
    return unpack(value, ErrorExample)


_count: Final = _whole(0, _MOST_COUNTED)
_number_of_row: Final = _whole(1, _MOST_COUNTED)
_flag: Final = _whole(0, 1)
_level: Final = _whole(1, _LATEST)
_moment: Final = _whole(-_LATEST, _LATEST)

CHECKS: Final[Mapping[Kind, Mapping[str, Mapping[str, Check]]]] = {
    "metrics": {
        "report": {"id": _text},
        "app": {"name": _text, "first": _number, "last": _number, "period": _number},
        "series": {"id": _number_of_row, "app": _text, "is_total": _flag, "is_web": _flag, "name": _text},
        "rollup": {
            "series": _number_of_row, "level": _level, "start": _moment, "count": _count, "errors": _count, "total": _number,
            "queue_time": _number, "queued": _count, "durations": _histogram, "kinds": _json(_kinds),
        },
        "job_queue": {"id": _number_of_row, "app": _text, "is_total": _flag, "name": _text, "queue": _text},
        "queue_rollup": {
            "series": _number_of_row, "level": _level, "start": _moment, "count": _count, "errors": _count, "total": _number,
            "durations": _histogram, "queue_time": _number, "waits": _histogram, "outcomes": _json(_outcomes),
        },
        "process": {
            "instance": _text, "app": _text, "started": _number, "seen": _number,
            "facts": _json(_structured(_Facts)),
            "stored": _count, "received": _count, "first_number": _or_null(_count), "last_number": _or_null(_count),
            "is_last": _or_null(_flag),
        },
        "revision": {"app": _text, "name": _text, "since": _number},
        "deploy": {"app": _text, "name": _text, "at": _number},
        "error_series": {"id": _number_of_row, "app": _text, "is_total": _flag, "grp": _text, "name": _text},
        "error_rollup": {"series": _number_of_row, "level": _level, "start": _moment, "count": _count, "handled": _count},
        "error_group": {
            "app": _text, "grp": _text, "first": _number, "last": _number, "title": _text, "exception": _text, "cause": _text,
            "place": _text, "message": _text, "trace": _text, "example": _or_null(_example),
        },
        "operation_text": {"op": _text, "operation": _text, "detail": _text},
        "operation_place": {"id": _number_of_row, "text": _text},
        "operation_series": {"id": _number_of_row, "app": _text, "op": _text},
        "operation_rollup": {
            "series": _number_of_row, "level": _level, "start": _moment, "count": _count, "errors": _count, "total": _number,
            "durations": _histogram, "endpoints": _json(_shares(3)), "lines": _json(_shares(2)),
        },
        "fold": {"until": _whole(0, _LATEST)},
    },
    "traces": {
        "trace": {
            "id": _text, "report": _text, "minute": _moment, "app": _text, "is_web": _flag, "name": _text, "host": _text,
            "start": _number, "duration": _number, "queue_time": _or_null(_number), "is_error": _flag, "score": _number,
            "policies": _json(_structured(dict[str, float])), "span_count": _count,
            "body": _body,
        },
        "member": {"trace_id": _text, "id": _text, "parent": _text, "calls": _text},
        "error": {
            "trace": _text, "number": _count, "handled": _flag, "exception": _text, "message": _text, "file": _text, "line": _count,
            "function": _text, "grp": _text,
        },
    },
}  # fmt: skip
"""Kind to table to column to its check."""

EXPENSIVE: Final = frozenset({("trace", "body")})
"""Columns that are only checked when nothing else is wrong: 15,000 traces of a day take seconds."""
BELONGS_TO: Final[Mapping[str, tuple[str, str]]] = {
    "rollup": ("series", "series"),
    "queue_rollup": ("series", "job_queue"),
    "error_rollup": ("series", "error_series"),
    "operation_rollup": ("series", "operation_series"),
}
"""Table to its column with the number of a row of another table: a number may be used again when that row is removed."""
