"""
Operations, ``Kind/name``: the kinds that the core itself distinguishes, and how to take an operation apart.

Plugins choose the kinds of their spans freely: ``SQL``, ``Template``, ``Redis``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

CONTROLLER: Final = "Controller"
"""Kind of a web request."""
JOB: Final = "Job"
"""Kind of a background job."""
OTHER: Final = "Other"
"""Kind under which spans are counted when there are too many kinds or operations."""
OTHER_NAME: Final = "other"
"""Name under which transactions and spans are counted when there are too many names."""

WEB_PREFIX: Final = f"{CONTROLLER}/"
UNNAMED_NAME: Final = "unnamed"
"""Name under which transactions and spans with an empty operation are counted."""
UNNAMED: Final = f"{WEB_PREFIX}{UNNAMED_NAME}"
"""Operation of web requests that nothing has given a name."""


def is_web(operation: str) -> bool:
    """Whether a transaction of this operation is a web request; all others are background jobs."""
    return operation.startswith(WEB_PREFIX)


def kind_of(operation: str) -> str:
    """``SQL`` for ``SQL/Query``."""
    return operation.partition("/")[0]


def name_of(operation: str) -> str:
    """``shop.home`` for ``Controller/shop.home``; empty for an operation without a name."""
    return operation.partition("/")[2]


def counted_under(name: str, counted: Collection[str], most: int, other: str = OTHER_NAME) -> str:
    """Return the name itself, or the other one where so many names are counted already that a new one has no room."""
    return name if name in counted or len(counted) < most else other
