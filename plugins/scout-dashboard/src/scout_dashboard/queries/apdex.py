"""The Apdex, the share of satisfied users, and its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import Factory, frozen

from scout_core.measuring.histogram import Histogram

DEFAULT_SECONDS: Final = 0.5
_TOLERATED: Final = 4
"""Times the threshold: slower responses frustrate."""


@frozen
class Thresholds:
    """Seconds up to which a response satisfies."""

    seconds: float = DEFAULT_SECONDS
    by_name: Mapping[str, float] = Factory(dict)
    """Full name of an endpoint or job, such as ``Controller/shop.home``, to its own threshold."""

    def of(self, name: str | None) -> float:
        """Return the threshold of an endpoint or job; None is the whole application."""
        return self.seconds if name is None else self.by_name.get(name, self.seconds)


def apdex(durations: Histogram, errors: int, *, seconds: float) -> float | None:
    """
    Return the Apdex from 0 to 1 (https://en.wikipedia.org/wiki/Apdex): failures frustrate, however fast they are.

    Reports do not have the durations of failures, which count as spread over all durations alike.

    Args:
        durations: those of all transactions, including the failed ones.
        seconds: the threshold; up to four times as long is tolerated and counts half.

    Returns:
        None without transactions.
    """
    if not durations.count:
        return None
    satisfied, tolerated = durations.share_at_most(seconds), durations.share_at_most(_TOLERATED * seconds)
    succeeded = max(0.0, 1 - errors / durations.count)
    return round((satisfied + tolerated) / 2 * succeeded, 3)
