"""The day by which data expires: the clock's, unless the data shows that the clock may be wrong."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

BELIEVED_JUMP: Final = 7
"""Days without data that nobody doubts. After more of them, there must be as many days with data."""


def expiry_day(stored: Iterable[int], today: int) -> int:
    """
    Return the day by which data expires, at most one day after the latest stored day that can be believed.

    A clock that is weeks ahead would delete everything at once, and the applications of the same machine, whose clock it is,
    would confirm it with their first report.

    Args:
        stored: days with data; those after today are ignored.
    """
    days = sorted({day for day in stored if day <= today})
    if not days:
        return today
    believed = days[0]
    for number, (before, after) in enumerate(pairwise(days), start=1):
        if after - before > BELIEVED_JUMP and len(days) - number < BELIEVED_JUMP:
            break
        believed = after
    return min(today, believed + 1)
