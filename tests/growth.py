"""How the time that a function takes grows with the length of a text."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(work: Callable[[str], object], unit: str) -> float:
    """How many times longer twelve times the text takes: 12, or 144 if the time grew with the square of the length."""

    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        began = time.thread_time()
        work(text)
        return time.thread_time() - began

    return seconds(60_000) / min(seconds(5_000), seconds(5_000))
