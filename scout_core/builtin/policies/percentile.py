"""Typical and extreme transactions of a name before those in between: by the percentile of the duration.

Source: scout_apm_ruby ``slow_policy/percentile_policy.rb``, whose comparison with 40, 60 and 90 was made against a share
of 0 to 1; here the share is multiplied by 100 first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl

if TYPE_CHECKING:
    from scout_core import Stats


@hookimpl
def score_transaction(stats: Stats) -> float:
    """0.4 below the 40th percentile, 1.4 around the median, 0.7 up to the 90th, 1.4 above."""
    percentile = stats.quantile * 100
    if percentile < 40:
        return 0.4
    if percentile < 60:
        return 1.4
    if percentile < 90:
        return 0.7
    return 1.4
