"""Clocks that do not depend on the machine, so that the same code takes the same branches in every run."""

from __future__ import annotations

import random
import sys
import time
from itertools import accumulate, cycle, repeat
from types import ModuleType
from typing import Final

STEPS = 1009
"""Different steps before they repeat; a prime, so that they do not repeat in step with the units of work."""
MEDIAN_NS = 5_000
SPREAD = 0.3
"""
Standard deviation of the logarithm: the slowest of a hundred durations is twice the median. No hook comes near its time budget.
With real clocks plugins would be disabled for being slow, because valgrind makes everything fifty times slower.
"""


READ: Final = ("perf_counter_ns", "monotonic", "time")
"""The clock functions that agents read."""


def replace_clocks() -> None:
    """
    Replace the clocks that agents read: those of the module ``time``, and ``scout_core.clocks``, which does not take them from there.

    Each reading advances a clock by a step from a fixed list. The replacements are written in C, as the originals are, and
    take about as many instructions.

    Raises:
        RuntimeError: scout_core has been imported already, so its modules read the real clocks.
    """
    if "scout_core" in sys.modules:
        raise RuntimeError("the clocks must be replaced before scout_core is imported")
    seeded = random.Random(0)
    steps = [round(MEDIAN_NS * seeded.lognormvariate(0, SPREAD)) for _ in range(STEPS)]
    time.perf_counter_ns = accumulate(cycle(steps), initial=10**15).__next__
    time.monotonic = accumulate(repeat(1e-5), initial=1e6).__next__
    time.time = accumulate(repeat(1e-5), initial=1.8e9).__next__
    own = ModuleType("scout_core.clocks")
    vars(own).update({name: getattr(time, name) for name in READ})
    sys.modules[own.__name__] = own


def modules_with_real_clocks() -> list[str]:
    """Return the modules of scout_core and its plugins that read other clocks, so that their counts depend on the machine."""
    return [
        f"{name}.{clock}"
        for name, module in sorted(sys.modules.items())
        if name.startswith("scout_")
        for clock in READ
        if callable(found := vars(module).get(clock)) and found is not getattr(time, clock)
        if not isinstance(found, type)  # `datetime.time`
    ]
