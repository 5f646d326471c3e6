"""The test kit for plugins and applications: recorded spans as plain data, stopped clocks, and the conformance suite.

Installed with the core; ``scout_core.pytest_plugin`` turns it into the fixtures ``scout`` and ``scout_clock``.
"""

from scout_core.testing.clocks import Clock, stopped_clock
from scout_core.testing.hostility import hostile
from scout_core.testing.recorded import RecordedSpan, RecordedTransaction
from scout_core.testing.rules.calls import Call
from scout_core.testing.rules.isolated import static_problems
from scout_core.testing.rules.problems import RULES, STATIC_RULES, Violation
from scout_core.testing.rules.suite import conformance
from scout_core.testing.scout import Scout, recording

__all__ = [
    "RULES",
    "STATIC_RULES",
    "Call",
    "Clock",
    "RecordedSpan",
    "RecordedTransaction",
    "Scout",
    "Violation",
    "conformance",
    "hostile",
    "recording",
    "static_problems",
    "stopped_clock",
]
