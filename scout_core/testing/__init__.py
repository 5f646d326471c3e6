"""For tests of plugins and applications: what was recorded as plain data, clocks that stand still, and the conformance suite.

Installed with the core; ``scout_core.pytest_plugin`` makes the fixtures ``scout`` and ``scout_clock`` of it.
"""

from scout_core.testing.calls import Call
from scout_core.testing.clocks import Clock, stopped_clock
from scout_core.testing.hostility import hostile
from scout_core.testing.isolated import static_problems
from scout_core.testing.problems import RULES, STATIC_RULES, Problem
from scout_core.testing.scout import Scout, recording
from scout_core.testing.seen import SeenSpan, SeenTransaction
from scout_core.testing.suite import conformance

__all__ = [
    "RULES",
    "STATIC_RULES",
    "Call",
    "Clock",
    "Problem",
    "Scout",
    "SeenSpan",
    "SeenTransaction",
    "conformance",
    "hostile",
    "recording",
    "static_problems",
    "stopped_clock",
]
