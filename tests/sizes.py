"""The size of tests that run for seconds with every change, and at length in ``nox -s reliability``."""

from __future__ import annotations

import os
from typing import Final

IS_FULL: Final = os.environ.get("TEST_SIZE") == "full"


def size(small: int, full: int) -> int:
    """Return how often a test repeats what it does."""
    return full if IS_FULL else small
