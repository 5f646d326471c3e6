"""The record of an exporter, as its plugin's status shows it: calls, errors, the last error, and whether it works now."""

from __future__ import annotations

from typing import Any, Final

from scout_core.boundary.guard import Guard
from scout_core.clocks import monotonic
from scout_core.problems import Problem

INVALID_EXPORTER: Final = "invalid-exporter"
EXPORT_FAILED: Final = "export-failed"
EXPORT_HANGS: Final = "export-hangs"
EXPORT_PROBLEMS: Final = frozenset({INVALID_EXPORTER, EXPORT_FAILED, EXPORT_HANGS})
"""Kinds of problems because of which reports do not arrive though the plugin is active."""
HANGS_AFTER: Final = 60.0
"""Seconds in one call of ``export`` after which it is reported. The collector's own gives up after 10."""


class ExportGuard(Guard):
    """Like the guard of a hook, except that it is never switched off: receivers come back."""

    __slots__ = ("exporter", "name", "failures_in_a_row", "_busy_since")

    def __init__(self, plugin: str, name: str, exporter: Any) -> None:  # Any: whatever has an ``export``
        super().__init__(plugin, f"{name}.export", exporter.export)
        self.logged.add("failure")  # by its outbox, with what becomes of the report
        self.exporter = exporter
        self.name = name
        self.failures_in_a_row = 0
        self._busy_since: float | None = None

    def enter(self) -> None:
        """Note that a call begins."""
        self.calls += 1
        self._busy_since = monotonic()

    def succeed(self) -> None:
        """Note that the call returned, or that there was nobody to send to, which is not an error."""
        self._busy_since = None
        self.failures_in_a_row = 0

    def note(self, error: BaseException) -> None:
        """Note that the call raised."""
        self._busy_since = None
        self.failures_in_a_row += 1
        self.failures.begin_call()
        self.failures.add(error)

    @property
    def seconds_busy(self) -> float:
        """Seconds in the call that has not returned; 0.0 between calls."""
        since = self._busy_since
        return 0.0 if since is None else monotonic() - since

    @property
    def is_recovered(self) -> bool:
        """Whether its last call succeeded: the receiver was unreachable for a while."""
        return not self.failures_in_a_row

    @property
    def problem(self) -> Problem | None:
        """Why no report arrives at this moment."""
        if self.seconds_busy > HANGS_AFTER:
            text = f"exporter {self.name!r} has not returned for {self.seconds_busy:.0f} s; reports wait"
            return Problem(EXPORT_HANGS, self.name, text, "give its requests a timeout")
        last = self.failures.last
        if self.failures_in_a_row and last is not None:
            times = f"{self.failures_in_a_row} time{'s' if self.failures_in_a_row > 1 else ''}"
            text = f"exporter {self.name!r} failed {times} in a row; last error: {last}"
            return Problem(EXPORT_FAILED, self.name, text)
        return None

    def forget_calls(self) -> None:
        """Count from zero, as in a forked child."""
        super().forget_calls()
        self.failures_in_a_row = 0
        self._busy_since = None
