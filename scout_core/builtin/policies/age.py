"""Names that were not seen for a while: a quarter of a point for each minute since a trace was kept, at most 2.5.

The bound is what the policy ``percent`` can give at most: without one, an hour unseen would outweigh everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl

if TYPE_CHECKING:
    from scout_core import Stats


@hookimpl
def score_transaction(stats: Stats) -> float:
    """More for a name whose last trace is old."""
    return min(stats.seconds_since_kept / 60 * 0.25, 2.5)
