"""The score of a transaction: the points of all policies, after their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from scout_core.measuring.numbers import real

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
        number = real(result, limit=MOST_POINTS)
        if number is None:
            shown = result if isinstance(result, float) else type(result).__name__
            policy.refuse(f"a score must be a finite number or None, got {shown}")
        else:
            points[policy.plugin] = max(-MOST_POINTS, min(number * weight, MOST_POINTS))
    return points
