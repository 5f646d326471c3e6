"""How long the last timed calls of a function took, and whether that exceeds its limit. A few numbers, never the calls."""

from __future__ import annotations

from collections import deque
from math import ceil, inf
from typing import Final, NamedTuple  # loaded at every start: attrs takes 0.3 ms to make a class, this 0.05

from scout_core.problems import TooSlow

WINDOW: Final = 100
"""Timed calls that are kept of one function."""


class Limit(NamedTuple):
    """The rule that a function's timed calls must keep."""

    option: str
    """The configuration option that sets it."""
    seconds: float
    """The value of that option."""
    quantile: float
    """The share of the calls, above 0 and up to 1, that must not take longer."""
    minimum: int
    """With fewer timed calls, one that imported something or waited for a processor would decide."""
    factor: int = 1
    """How many times the value of the option is allowed."""
    time_every: int = 1
    """One of this many calls is timed, after the first ones: two clock readings are a tenth of a short hook.

    After a call that took longer than allowed, the next one is timed as well, so that a slow function is found soon.
    """
    on_application_thread: bool = False
    """Calls are on the application's thread, which has no time to judge."""
    switches_off: bool = False
    """Whether a function that exceeds it is switched off, and not only reported."""

    @property
    def allowed(self) -> float:
        """Seconds."""
        return self.seconds * self.factor


class Slowness(NamedTuple):
    """A limit that was exceeded, with the numbers that show it."""

    limit: Limit
    seconds: float
    """The limit's quantile of the timed calls."""
    timed: int
    """The number of timed calls, at most the window."""
    window: int = WINDOW

    def __str__(self) -> str:
        return str(self.facts())

    def facts(self) -> TooSlow:
        """Return it as a status and a report have it."""
        limit = self.limit
        return TooSlow(
            seconds=self.seconds,
            quantile=limit.quantile,
            timed=self.timed,
            window=self.window,
            option=limit.option,
            factor=limit.factor,
            limit=limit.allowed,
        )


class Pace:
    """Durations of one function's calls. Added to on any thread."""

    __slots__ = ("limit", "allowed_ns", "time_every", "count", "total_ns", "_last", "_judged", "_slowness")

    def __init__(self, limit: Limit | None = None) -> None:
        self.limit = limit
        self.allowed_ns = inf if limit is None else limit.allowed * 1e9
        self.time_every = 1 if limit is None else limit.time_every
        self.count = 0
        """Calls timed since the process started, including those outside the window."""
        self.total_ns = 0
        self._last: deque[int] = deque(maxlen=WINDOW)
        self._judged = 0
        """The count at which ``_slowness`` was computed."""
        self._slowness: Slowness | None = None

    def add(self, duration_ns: int) -> None:
        """Note one call."""
        self.count += 1
        self.total_ns += duration_ns
        self._last.append(duration_ns)

    def quantile(self, share: float) -> float | None:
        """Seconds that this share, above 0 and up to 1, of the last calls did not exceed; None before the first."""
        return _quantile(sorted(self._last.copy()), share)  # the copy is one step for other threads, sorting is not

    @property
    def slowness(self) -> Slowness | None:
        """How the last calls exceed the limit; None while they keep it, and while there are too few."""
        count = self.count
        if self._judged != count:
            self._slowness = self._judge()
            self._judged = count
        return self._slowness

    def _judge(self) -> Slowness | None:
        limit, last = self.limit, sorted(self._last.copy())
        if limit is None or len(last) < limit.minimum:
            return None
        seconds = _quantile(last, limit.quantile)
        return Slowness(limit, seconds, len(last)) if seconds is not None and seconds > limit.allowed else None


def _quantile(ordered: list[int], share: float) -> float | None:
    return ordered[ceil(share * len(ordered)) - 1] / 1e9 if ordered else None
