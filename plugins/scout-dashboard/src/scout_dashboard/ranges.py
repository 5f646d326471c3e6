"""The time range of a page: a named range or a zoom, always in whole steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import isfinite
from typing import Final

from attrs import field, frozen

from scout_dashboard.errors import BadQuery

DEFAULT_KEY: Final = "1h"

NAMED: Final[dict[str, tuple[int, int, str]]] = {
    "15m": (15 * 60, 60, "last 15 minutes"),
    "1h": (3_600, 60, "last hour"),
    "6h": (6 * 3_600, 300, "last 6 hours"),
    "24h": (24 * 3_600, 900, "last 24 hours"),
    "7d": (7 * 86_400, 7_200, "last 7 days"),
}
"""Key to ``(seconds, step, label)``, shortest first, as the pages offer them."""

_STEPS: Final = (60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400)
"""Each divides a day, so no step spans the files of two days."""
_MAX_POINTS: Final = 120
_MAX_SECONDS: Final = 400 * 86_400
LATEST: Final = 4_102_444_800
"""The year 2100; later times are mistakes, such as milliseconds."""


@frozen(kw_only=True)
class Range:
    """A time range in whole steps, and the application to show."""

    start: int
    """Unix seconds, a multiple of ``step``."""
    end: int
    """Exclusive, a multiple of ``step``. For a named range it is up to one step in the future."""
    step: int
    """Seconds between two points of a chart."""
    label: str
    key: str | None
    """None for a zoom."""
    app: str | None = None
    """As requested; None selects the only application, or all of them."""
    now: float = field(factory=time.time, eq=False)
    """Unix time of the request: the step that contains it is incomplete."""

    @property
    def points(self) -> range:
        """The start of each step."""
        return range(self.start, self.end, self.step)

    def facts(self) -> dict[str, object]:
        """Return it as JSON."""
        return {"from": self.start, "to": self.end, "step": self.step, "label": self.label, "key": self.key}


def named_range(key: str, *, app: str | None = None, now: float | None = None) -> Range:
    """
    Return a range that ends with the current step.

    Raises:
        BadQuery: the key is unknown.
    """
    if key not in NAMED:
        raise BadQuery(f"unknown range {key[:20]!r}; expected one of {', '.join(NAMED)}")
    seconds, step, label = NAMED[key]
    now = time.time() if now is None else now
    end = int(now // step + 1) * step
    return Range(start=end - seconds, end=end, step=step, label=label, key=key, app=app, now=now)


def zoomed_range(start: float, end: float, *, app: str | None = None) -> Range:
    """
    Return a range between two times, widened to whole steps.

    Raises:
        BadQuery: the times are invalid, in the wrong order, or too far apart.
    """
    if not (isfinite(start) and isfinite(end) and 0 <= start <= LATEST and 0 <= end <= LATEST):
        raise BadQuery("invalid 'from' or 'to'; expected Unix times in seconds")
    if start >= end:
        raise BadQuery("'from' must be earlier than 'to'")
    if end - start > _MAX_SECONDS:
        raise BadQuery(f"'from' and 'to' must be at most {_MAX_SECONDS // 86_400} days apart")
    step = next((step for step in _STEPS if (end - start) / step <= _MAX_POINTS), _STEPS[-1])
    first = int(start // step) * step
    last = -int(-end // step) * step
    return Range(start=first, end=last, step=step, label=_label(first, last), key=None, app=app)


def read_range(query: Mapping[str, str], *, now: float | None = None) -> Range:
    """
    Read ``app`` and the range from a request: ``from`` and ``to`` take precedence over ``range``.

    Args:
        query: the request's ``query_params``.

    Raises:
        BadQuery: the message names the invalid value.
    """
    app = query.get("app") or None
    if "from" not in query and "to" not in query:
        return named_range(query.get("range") or DEFAULT_KEY, app=app, now=now)
    return zoomed_range(_unix_time(query, "from"), _unix_time(query, "to"), app=app)


def read_deploy(query: Mapping[str, str]) -> tuple[str, float]:
    """
    Read ``revision`` and ``at``, which identify a deploy.

    Raises:
        BadQuery: the message names the parameter.
    """
    revision, at = query.get("revision"), query.get("at", "")
    if not revision:
        raise BadQuery("missing parameter 'revision'; choose a deploy from the list at /deploys")
    try:
        found = float(at)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LATEST:
        raise BadQuery(f"invalid at {at[:20]!r}; expected the Unix time of the deploy in seconds")
    return revision, found


def _unix_time(query: Mapping[str, str], key: str) -> float:
    text = query.get(key, "")
    if not text:
        raise BadQuery("'from' and 'to' must be given together, as Unix times in seconds")
    try:
        return float(text)
    except ValueError:
        raise BadQuery(f"invalid {key} {text[:20]!r}; expected a Unix time in seconds") from None


def _label(start: int, end: int) -> str:
    pattern = "%Y-%m-%d %H:%M"
    until = "%H:%M" if start // 86_400 == (end - 1) // 86_400 and end % 86_400 else pattern
    return f"{time.strftime(pattern, time.gmtime(start))} to {time.strftime(until, time.gmtime(end))} UTC"
