"""
The clocks, as functions of the operating system's, whatever a test does to the module ``time``.

Tools that freeze time, as freezegun does, replace the functions of ``time`` in every module that has imported them. Durations
that began before and ended after were wrong by years. These functions belong to a copy of the module that is nowhere in ``sys.modules``,
so they are other objects than those that such tools look for, even when this module is imported while time is frozen.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from time import monotonic, perf_counter_ns, time
else:
    _spec = sys.modules["time"].__spec__  # the import system itself has imported it
    _time = _spec.loader.create_module(_spec)
    _spec.loader.exec_module(_time)
    monotonic, perf_counter_ns, time = _time.monotonic, _time.perf_counter_ns, _time.time

__all__ = ["monotonic", "perf_counter_ns", "time"]
