"""Clocks that do not depend on the machine, so that the same code takes the same branches in every run."""

from __future__ import annotations

import random
import time
from itertools import accumulate, cycle, repeat

STEPS = 1009
"""Different steps before they repeat; a prime, so that they do not repeat in step with the units of work."""
MEDIAN_NS = 5_000
SPREAD = 0.3
"""
Standard deviation of the logarithm: the slowest of a hundred durations is twice the median. No hook comes near its time budget.
With real clocks plugins would be disabled for being slow, because valgrind makes everything fifty times slower.
"""


def replace_clocks() -> None:
    """
    Replace the clocks of the module ``time`` that agents read; call this before anything imports them from there.

    Each reading advances a clock by a step from a fixed list. The replacements are written in C, as the originals are, and
    take about as many instructions.
    """
    seeded = random.Random(0)
    steps = [round(MEDIAN_NS * seeded.lognormvariate(0, SPREAD)) for _ in range(STEPS)]
    time.perf_counter_ns = accumulate(cycle(steps), initial=10**15).__next__
    time.monotonic = accumulate(repeat(1e-5), initial=1e6).__next__
    time.time = accumulate(repeat(1e-5), initial=1.8e9).__next__
