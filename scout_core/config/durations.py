"""Durations as text and in seconds, and the numbers in them."""

from __future__ import annotations

import math
import re
from typing import Any, Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_UNIT: Final = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(ms|millis\w*|s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?)(?![a-z])\s*", re.IGNORECASE
)


def number(value: Any) -> float:  # Any, here and below: whatever a person wrote
    """Return a finite number; raises for anything else."""
    result = math.nan if isinstance(value, bool) else float(value)
    if not math.isfinite(result):
        raise ValueError
    return result


def seconds_of(value: Any) -> float:
    """Return the seconds of a timedelta, a number, or text with or without units; raises for anything else, and below 0."""
    if hasattr(value, "total_seconds"):
        value = float(value.total_seconds())
    if not isinstance(value, str) or not value.rstrip()[-1:].isalpha():
        result = number(value)
        if result < 0:  # as with a unit, which has no sign
            raise ValueError
        return result
    seconds, end = 0.0, 0
    while end < len(value):
        part = _UNIT.match(value, end)
        if part is None:
            raise ValueError
        unit = "ms" if part[2].lower().startswith(("ms", "mil")) else part[2][0].lower()
        seconds, end = seconds + float(part[1]) * _UNITS[unit], part.end()
    return number(seconds)


def duration(seconds: Any) -> str:
    """
    Write a duration (seconds, or a timedelta) with the largest unit in which it is a whole number: ``2 min``, ``0.2 ms``.

    ``seconds_of`` reads the same duration from it; where units would round it, it is written in seconds without one.
    """
    if hasattr(seconds, "total_seconds"):
        seconds = seconds.total_seconds()
    text = _with_unit(seconds)
    return text if seconds < 0 or _reads_as(seconds, text) else repr(float(seconds))


def _reads_as(seconds: float, text: str) -> bool:
    try:
        return seconds_of(text) == seconds
    except ValueError:  # an exponent, or infinite
        return False


def _with_unit(seconds: float) -> str:
    for unit, size in _WRITTEN:
        if seconds and seconds % size == 0:
            return f"{seconds / size:.15g} {unit}"
    if not seconds:
        return "0"
    return f"{seconds:.15g} s" if abs(seconds) >= 1 else f"{seconds * 1_000:.12g} ms"


class Seconds(float):
    """A duration that a person sees with its unit, ``'2 min'``, and a program as a number."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(duration(float(self)))
