"""Human-readable numbers: ``1.24 s``, ``86 ms``, ``1,204 / min``, ``2.1 %``; None is shown as ``–``.

A figure keeps number and unit separate, so that a column can align both. ``static/format.js`` does the same for chart
axes and tooltips; the browser tests compare the two.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Final

from attrs import frozen

MISSING: Final = "–"
UNKNOWN_TIME: Final = "unknown time"
"""For a time that is not in the years 1 to 9999, as an earlier version stored it for milliseconds."""
MINUS: Final = "−"


@frozen
class Figure:
    """A formatted number with its unit."""

    number: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.unit}" if self.unit else self.number


# (upper limit in ms, size of the unit in ms, decimals, unit): each limit is where rounding would add a digit
_DURATIONS: Final = (
    (0.000_05, 1.0, 0, "ms"),
    (0.009_95, 0.001, 1, "µs"),
    (0.099_5, 0.001, 0, "µs"),
    (9.95, 1.0, 1, "ms"),
    (999.5, 1.0, 0, "ms"),
    (9_995.0, 1_000.0, 2, "s"),
    (99_950.0, 1_000.0, 1, "s"),
    (599_500.0, 1_000.0, 0, "s"),
    (5_997_000.0, 60_000.0, 1, "min"),
    (359_820_000.0, 3_600_000.0, 1, "h"),
    (math.inf, 86_400_000.0, 1, "d"),
)
_SIZES: Final = ((999.5, 1, 0, "B"), (999_950, 1e3, 1, "kB"), (999_950_000, 1e6, 1, "MB"), (math.inf, 1e9, 2, "GB"))


def duration(milliseconds: float | None) -> Figure:
    """Format a latency or a sum of latencies with about three digits."""
    if milliseconds is None:
        return Figure(MISSING)
    return next(
        Figure(f"{milliseconds / size:.{decimals}f}", unit)
        for limit, size, decimals, unit in _DURATIONS
        if milliseconds < limit
    )


def cost(milliseconds: float | None) -> Figure:
    """Format the cost of a hook: like ``duration``, but in microseconds below one millisecond, as budgets are given."""
    if milliseconds is None or not 0.0995 <= milliseconds < 0.9995:
        return duration(milliseconds)
    return Figure(f"{milliseconds * 1_000:.0f}", "µs")


def rate(per_minute: float | None) -> Figure:
    """Format a throughput."""
    if per_minute is None:
        return Figure(MISSING)
    if per_minute >= 99.95 or per_minute == 0:
        return Figure(f"{per_minute:,.0f}", "/ min")
    return Figure(f"{per_minute:.1f}" if per_minute >= 0.995 else f"{per_minute:.2f}", "/ min")


def percent(fraction: float | None) -> Figure:
    """Format a fraction as a percentage; a tiny fraction is ``<0.1 %``, never 0."""
    if fraction is None:
        return Figure(MISSING)
    if 0 < fraction < 0.0005:
        return Figure("<0.1", "%")
    if fraction == 0 or fraction >= 0.9995:
        return Figure(f"{fraction * 100:.0f}", "%")
    return Figure(f"{fraction * 100:.1f}", "%")


def count(number: float | None) -> Figure:
    """Format a count."""
    return Figure(MISSING if number is None else f"{number:,.0f}")


def decimal(number: float | None) -> Figure:
    """Format a score, an Apdex or calls per transaction with two decimals and a typographic minus sign."""
    if number is None:
        return Figure(MISSING)
    text = f"{number:,.2f}"
    return Figure(text.replace("-", "", 1) if text == "-0.00" else text.replace("-", MINUS, 1))


def size(number_of_bytes: float | None) -> Figure:
    """Format a number of bytes in decimal units."""
    if number_of_bytes is None:
        return Figure(MISSING)
    return next(
        Figure(f"{number_of_bytes / unit_size:.{digits}f}", unit)
        for limit, unit_size, digits, unit in _SIZES
        if number_of_bytes < limit
    )


def age(seconds: float) -> Figure:
    """Format an age in whole units; never negative, although the clocks of two machines may differ."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return Figure(f"{seconds // size:.0f}", unit)
    return Figure(f"{max(0.0, seconds) // 1:.0f}", "s")


def plural(number: int, singular: str, plural_form: str | None = None) -> str:
    """Format a count with its noun: ``1 trace``, ``1,204 traces``."""
    return f"{number:,} {singular if number == 1 else plural_form or singular + 's'}"


def breakable_parts(name: str) -> list[str]:
    """Split a dotted name into parts between which a line may break; joined, they are the name again."""
    return re.findall(r"[^./_]*[./_]|[^./_]+", name)


def iso(time: float) -> str:
    """Format a time for the attribute ``datetime`` of ``<time>``; empty when it is unknown."""
    found = _utc(time)
    return found.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if found else ""


def utc(time: float) -> str:
    """Format date and time in UTC, for a tooltip."""
    return _formatted(time, "%Y-%m-%d %H:%M:%S UTC")


def moment(time: float, form: str = "stamp") -> str:
    """
    Format a time in UTC; ``static/times.js`` converts it to the reader's time zone in the same form.

    Args:
        form: ``stamp`` is ``21 Nov 07:42:10``, ``minute`` is ``21 Nov 07:42``, ``clock`` is ``07:42``.
    """
    return _formatted(time, {"stamp": "%d %b %H:%M:%S", "minute": "%d %b %H:%M", "clock": "%H:%M"}[form])


def _formatted(time: float, form: str) -> str:
    found = _utc(time)
    return found.strftime(form) if found else UNKNOWN_TIME


def _utc(time: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(time, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
