"""The periods before and after a deploy that are compared: equally long, in slices of whole minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from scout_dashboard.queries.change import SLICES

LONGEST: Final = 86_400
_MINUTE: Final = 60
_UNITS: Final = ((12 * 3_600, 3_600), (3 * 3_600, 900), (3_600, 300), (0, _MINUTE))
"""Length of a period, and the unit of its slices: stored slices have it, too, and minutes would be many times as many rows."""
DAYS_BEFORE: Final = (1, 7)
"""The same time a day and a week earlier shows what changes at this time anyway."""


@frozen
class Period:
    """A period in whole minutes. Unix times."""

    start: int
    end: int

    @property
    def slices(self) -> list[tuple[int, int]]:
        """Its parts of equal length."""
        length = (self.end - self.start) // SLICES
        return [(self.start + number * length, self.start + (number + 1) * length) for number in range(SLICES)]

    def facts(self) -> dict[str, int]:
        """Return it as JSON."""
        return {"from": self.start, "to": self.end}


@frozen
class Periods:
    """A period before and one after a deploy."""

    before: Period
    after: Period

    @property
    def seconds(self) -> int:
        """The length of each."""
        return self.after.end - self.after.start

    def earlier(self, days: int) -> Periods:
        """Return the same times of an earlier day."""
        by = days * 86_400
        return Periods(*(Period(period.start - by, period.end - by) for period in (self.before, self.after)))


def periods_of(
    first: float, last: float, *, previous: float | None, following: float | None, now: float
) -> Periods | None:
    """
    Return the longest periods between two other deploys, at most ``LONGEST``; None while there is not a minute for each slice:
    caches are cold then, and a few minutes show little.

    The minutes of the deploy are in neither: a report is counted in the minute of its end, and may have transactions from before.

    Args:
        first: Unix time of the deploy, or of the first of several that count as one.
        last: of the last of them.
        previous: Unix time of the deploy before; None without one.
        following: of the next one.
    """
    end = now - _MINUTE if following is None else min(following, now - _MINUTE)
    begin = 0.0 if previous is None else previous + _MINUTE
    for shortest, unit in _UNITS:
        found = _aligned(first, last, begin, end, unit=unit)
        if found is not None and found.seconds >= shortest:
            return found
    return None


def controls(periods: Periods, deploys: Sequence[float]) -> list[Periods]:
    """Return the same periods on earlier days, without those in which a deploy happened, as it may have changed something, too."""
    found = [periods.earlier(days) for days in DAYS_BEFORE]
    return [day for day in found if not any(day.before.start <= at < day.after.end for at in deploys)]


def _aligned(first: float, last: float, begin: float, end: float, *, unit: int) -> Periods | None:
    before_end, after_start = int(first // unit) * unit, -int(-(last + _MINUTE) // unit) * unit
    most = min(LONGEST, int(end) - after_start, before_end - int(begin))
    length = most // SLICES // unit * unit * SLICES
    if length <= 0:
        return None
    return Periods(Period(before_end - length, before_end), Period(after_start, after_start + length))
