"""The time that a request waited between the proxy that accepted it and the app server."""

from __future__ import annotations

import re
from typing import Final

from scout_core.text.patterns import pattern

OLDEST: Final = 10 * 365.25 * 86_400
"""Seconds, ten years: an earlier start is an error in the header, or in the clock that set it."""
# The forms that scout_apm_python accepts (core/queue_time.py); digits are bounded, so that float() takes constant time.
_TIME: Final = pattern(r"\s*(?:t=)?\s*([0-9]{1,25}(?:\.[0-9]{0,25})?)\s*", re.ASCII)
_UNITS_PER_SECOND: Final = (1e9, 1e6, 1e3, 1.0)
_MOST_READ: Final = 20
"""Repetitions of a header that are read."""


def seconds_in_queue(header: str, now: float) -> float | None:
    """
    Seconds the request waited before the app server took it.

    Args:
        header:
            ``X-Queue-Start`` or ``X-Request-Start`` as proxies send it: ``t=`` optional, then a Unix time in s, ms, µs or ns,
            distinguished by magnitude. Of a repeated header, whose values servers join with commas, the earliest time counts.
        now: Unix time of arrival, in seconds.

    Returns:
        Never negative. None when no value of the header is readable, not later than ``now``, and within ten years before it.

    Source: scout_apm_python ``core/queue_time.py``.
    """
    times = (header or "").split(",", _MOST_READ)[:_MOST_READ]
    return max((waited for waited in (_seconds_since(time, now) for time in times) if waited is not None), default=None)


def _seconds_since(time: str, now: float) -> float | None:
    found = _TIME.fullmatch(time)
    if found is None:
        return None
    value = float(found[1])
    oldest = max(now - OLDEST, 1.0)
    for units in _UNITS_PER_SECOND:
        if value > oldest * units:
            start = value / units
            return now - start if start <= now else None
    return None
