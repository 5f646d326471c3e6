"""
Whether durations, errors or the number of errors changed from one period to another, without false alarms.

Each period is cut into ``SLICES`` of equal length. Three conditions must hold at once, because each of them by itself is met by chance:

- a test of all requests finds the change,
- it is large enough to matter,
- a test of the slices finds it, too, in which each slice counts once: a load that varies, or a disturbance of some minutes, makes
  many requests alike, so that the test of the requests takes it for certain.

Both tests have a threshold that allows for the number of comparisons on a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import asin, exp, inf, lgamma, log, sqrt
from statistics import NormalDist, fmean, variance
from typing import Final

from attrs import frozen

from scout_dashboard.queries.rank_test import CLEAR, rank_z
from scout_dashboard.store.periods import Figures

SLOWER: Final = "slower"
FASTER: Final = "faster"
MORE: Final = "more"
FEWER: Final = "fewer"
NOT_CLEAR: Final = "not clear"
"""Enough is known, and there is no clear change."""
USUAL: Final = "usual"
"""There is a clear change, and the same one at this time on other days."""
TOO_FEW: Final = "too few"
"""Too few transactions before or after, or they are not spread over the time."""

SLICES: Final = 12
FALSE_ALARMS: Final = 0.01
"""False alarms that are expected on a page, at most: one on a hundred pages."""
FEWEST: Final = 60
"""Transactions that each side of a comparison needs."""
_FEWEST_OF_SLICE: Final = 5
_FEWEST_SLICES: Final = 10
_TIMES: Final = 1.2
_SECONDS: Final = 0.005
_ERRORS: Final = 5
_NEGLIGIBLE: Final = 1e-18
_SMALLEST: Final = 1e-9
"""Seconds."""


@frozen
class Sides:
    """A period before and one after."""

    before: Sequence[Figures]
    """Its slices, which need no durations; like ``after``."""
    after: Sequence[Figures]
    whole_before: Figures
    whole_after: Figures

    @classmethod
    def of(cls, before: Sequence[Figures], after: Sequence[Figures]) -> Sides:
        """Return the sides for slices that have everything."""
        return cls(before, after, merged(before), merged(after))

    @property
    def are_comparable(self) -> bool:
        """Whether both have enough transactions, in enough slices."""
        return all(_is_enough(side) for side in (self.before, self.after))


def limit_of(comparisons: int) -> float:
    """Return the probability by chance from which a single comparison counts, so that all of them expect ``FALSE_ALARMS`` at most."""
    return min(NormalDist().cdf(-CLEAR), FALSE_ALARMS / max(1, comparisons))


def _z(limit: float) -> float:
    return -NormalDist().inv_cdf(limit)


def merged(slices: Sequence[Figures]) -> Figures:
    """Return the sum of slices."""
    whole = Figures()
    for figures in slices:
        whole.add(figures)
    return whole


def change_of_time(sides: Sides, limit: float) -> str:
    """Return ``SLOWER``, ``FASTER``, ``NOT_CLEAR`` or ``TOO_FEW``."""
    if not sides.are_comparable:
        return TOO_FEW
    before, after = sides.whole_before, sides.whole_after
    state, (less, more) = (SLOWER, (before, after)) if after.mean > before.mean else (FASTER, (after, before))
    is_clear = (
        rank_z(less.durations, more.durations) >= _z(limit)
        and more.mean >= less.mean * _TIMES
        and more.mean - less.mean >= _SECONDS
        and _slices_z(sides, _log_mean, is_rise=state == SLOWER) >= _z(limit)
    )
    return state if is_clear else NOT_CLEAR


def change_of_errors(sides: Sides, limit: float) -> str:
    """Return ``MORE``, ``FEWER``, ``NOT_CLEAR`` or ``TOO_FEW``, by the share of transactions that failed."""
    if not sides.are_comparable:
        return TOO_FEW
    before, after = sides.whole_before, sides.whole_after
    state, (less, more) = (MORE, (before, after)) if after.error_rate > before.error_rate else (FEWER, (after, before))
    is_clear = (
        more.error_rate >= less.error_rate * _TIMES
        and more.errors - less.error_rate * more.count >= _ERRORS
        and chance_of_share(less.errors, less.count, more.errors, more.count) <= limit
        and _slices_z(sides, _share_angle, is_rise=state == MORE) >= _z(limit)
    )
    return state if is_clear else NOT_CLEAR


def is_more_frequent(sides: Sides, limit: float) -> bool:
    """
    Return whether errors became more frequent.

    Args:
        sides: comparable; ``errors`` may exceed ``count``, the transactions in which they may occur.
    """
    before, after = sides.whole_before, sides.whole_after
    return (
        after.error_rate >= before.error_rate * _TIMES
        and after.errors - before.error_rate * after.count >= _ERRORS
        and chance_of_number(before.errors, before.count, after.errors, after.count) <= limit
        and _slices_z(sides, _root_rate, is_rise=True) >= _z(limit)
    )


def is_clear_by_itself(before: Figures, after: Figures, state: str) -> bool:
    """Return whether two periods differ in one direction, where only one comparison is made and nothing else is asked."""
    less, more = (before, after) if state in (SLOWER, MORE) else (after, before)
    if min(less.count, more.count) < FEWEST:
        return False
    if state in (SLOWER, FASTER):
        return rank_z(less.durations, more.durations) >= CLEAR and more.mean >= less.mean * _TIMES
    chance = chance_of_share(less.errors, less.count, more.errors, more.count)
    return chance <= limit_of(1) and more.error_rate >= less.error_rate * _TIMES


def chance_of_share(errors: int, of: int, more_errors: int, more_of: int) -> float:
    """Return the probability that so many of all errors, or more, are in the second set by chance (Fisher's exact test)."""
    known, whole = errors + more_errors, of + more_of
    last = min(known, more_of)

    def log_chance(number: int) -> float:
        return _log_choices(more_of, number) + _log_choices(of, known - number) - _log_choices(whole, known)

    return _tail(more_errors, last, log_chance)


def chance_of_number(errors: int, of: int, more_errors: int, more_of: int) -> float:
    """Return the same where an error is not one of the transactions: of two rates of events (binomial test)."""
    known = errors + more_errors
    if not of or not more_of:
        return 1.0
    share = more_of / (of + more_of)

    def log_chance(number: int) -> float:
        return _log_choices(known, number) + number * log(share) + (known - number) * log(1 - share)

    return _tail(more_errors, known, log_chance)


def _tail(first: int, last: int, log_chance: Callable[[int], float]) -> float:
    """Add up probabilities from a number that is above the expected one, so that they decrease."""
    whole = 0.0
    for number in range(first, last + 1):
        chance = exp(log_chance(number))
        whole += chance
        if chance <= whole * _NEGLIGIBLE:
            break
    return min(1.0, whole)


def _log_choices(whole: int, part: int) -> float:
    return lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1)


def _log_mean(figures: Figures) -> float:
    return log(max(figures.mean, _SMALLEST))


def _share_angle(figures: Figures) -> float:
    return asin(sqrt(min(1.0, figures.error_rate)))


def _root_rate(figures: Figures) -> float:
    return sqrt(figures.error_rate)


def _usable(slices: Sequence[Figures]) -> list[Figures]:
    return [figures for figures in slices if figures.count >= _FEWEST_OF_SLICE]


def _is_enough(slices: Sequence[Figures]) -> bool:
    return sum(figures.count for figures in slices) >= FEWEST and len(_usable(slices)) >= _FEWEST_SLICES


def _slices_z(sides: Sides, value: Callable[[Figures], float], *, is_rise: bool) -> float:
    """
    Return the z of Student's test of the slices, each of which counts once, however many transactions it has.

    Args:
        value: of a slice, on a scale on which its spread does not depend on its size.
    """
    less, more = (sides.before, sides.after) if is_rise else (sides.after, sides.before)
    low, high = [*map(value, _usable(less))], [*map(value, _usable(more))]
    freedom = len(low) + len(high) - 2
    spread = (variance(low) * (len(low) - 1) + variance(high) * (len(high) - 1)) / freedom
    rise = fmean(high) - fmean(low)
    if rise <= 0 or spread <= 0:
        return inf if rise > 0 else 0.0
    t = rise / sqrt(spread * (1 / len(low) + 1 / len(high)))
    # Wallace's approximation, of 1959: within 1 % also far from 0.
    return (8 * freedom + 1) / (8 * freedom + 3) * sqrt(freedom * log(1 + t * t / freedom))
