"""The score of a transaction: the points of all policies, after their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite, isinf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scout_core.boundary.guard import Guard
    from scout_core.config.config import Config
    from scout_core.measuring.stats import Stats
    from scout_core.recording.transaction import Transaction

MOST_POINTS: Final = 1e9
"""Limit of one policy's points, positive or negative: the sum stays a number that receivers accept."""


def score(
    transaction: Transaction,
    stats: Stats,
    policies: Iterable[Guard],
    *,
    weights: Mapping[str, float],
    config: Config,
) -> dict[str, float]:
    """
    Call every policy.

    Args:
        policies: ``agent.implementations("score_transaction")``.
        weights: policy name to the factor of its points; 1 for those that are not in it.

    Returns:
        Policy name to its points after its weight; their sum is the score. Policies that gave no points, raised, or returned
        something other than a real, finite number are missing.
    """
    points = {}
    for policy in policies:
        result = policy.run(transaction, stats, config)
        if result is None:
            continue
        weight = weights.get(policy.plugin, 1.0)
        if type(result) is float and -MOST_POINTS <= (weighted := result * weight) <= MOST_POINTS:  # also not a NaN
            points[policy.plugin] = weighted
            continue
        number = _points_of(result)
        if number is None:
            shown = result if isinstance(result, float) else type(result).__name__
            policy.refuse(f"a score must be a finite number or None, got {shown}")
        else:
            points[policy.plugin] = max(-MOST_POINTS, min(number * weight, MOST_POINTS))
    return points


def _points_of(result: object) -> float | None:
    """
    Return a real, finite number of any type as points; None for everything else, and for a bool, which is a mistake of the policy.

    A finite number that no float can hold is within the limits of points afterwards.
    """
    from decimal import Decimal  # on the agent's thread, and only for what is neither a float nor None
    from numbers import Real

    try:
        if isinstance(result, bool) or not isinstance(result, (Real, Decimal)):
            return None
        try:
            number = float(result)
        except OverflowError:  # a huge int or Fraction
            return MOST_POINTS if result > 0 else -MOST_POINTS  # type: ignore[operator]
        if isinf(number) and result != number:  # a huge Decimal
            return MOST_POINTS if number > 0 else -MOST_POINTS
    except Exception:  # noqa: BLE001  # foreign code: a number of any package
        return None
    return number if isfinite(number) else None
