"""
Notice a hook that hangs on the agent's thread, which then neither counts nor reports anything, and name its plugin.

The agent's thread cannot watch itself, and the application's threads neither log nor wait. So the threads of the outboxes look while
they have nothing to send: no thread is added, and no call of a hook costs more. What they compare is the innermost guard on the
stack of the agent's thread, and how often it was called.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from scout_core.boundary.busy import busy_guard
from scout_core.clocks import monotonic
from scout_core.log import Log
from scout_core.sending.ledger import Ledger

if TYPE_CHECKING:
    from scout_core.boundary.guard import Guard
    from scout_core.sending.agent_thread import AgentThread

log = Log("scout_core.plugins")

LOOK_EVERY: Final = 5.0
"""Seconds between two looks."""
HANGS_AFTER: Final = 10.0
"""Seconds without progress after which a hook hangs; at least two looks, because a computer may have slept in between."""
_Progress = tuple[int, int, "Guard | None", int]


class Watchdog:
    """
    Watches the agent's thread of one process.

    Args:
        report: makes a report without figures, so that receivers learn the state of the plugins; any thread may call it.
        report_every: returns the seconds between two such reports.
    """

    def __init__(
        self, thread: AgentThread, ledger: Ledger, report: Callable[[], None], report_every: Callable[[], float]
    ) -> None:
        self._thread = thread
        self._ledger = ledger
        self._report = report
        self._report_every = report_every
        self._lock = Lock()
        self._progress: _Progress | None = None
        self._since = 0.0
        """Monotonic seconds at which this progress was first seen."""
        self._looks = 0
        """Looks since then that saw the same."""
        self._last_look = 0.0
        self._next_report = 0.0
        self._hanging: Guard | None = None
        self._has_logged = False

    def look(self) -> None:
        """Look at the agent's thread, unless another thread does, or did a moment ago. Waits for nothing."""
        now = monotonic()
        if now - self._last_look < LOOK_EVERY or not self._lock.acquire(blocking=False):
            return
        try:
            self._last_look = now
            self._compare(now)
        finally:
            self._lock.release()

    def settle(self) -> None:
        """Clear the hang: the agent's thread is making progress again."""
        if self._hanging is not None:
            self._hanging.hangs_since = None
            self._hanging = None
        self._has_logged = False

    def _compare(self, now: float) -> None:
        thread = self._thread.thread
        if thread is None or not self._thread.is_working:
            self._progress = None
            return
        guard = busy_guard(thread)
        progress = self._thread.turns, self._ledger.taken, guard, 0 if guard is None else guard.calls
        if progress != self._progress:
            self.settle()
            self._progress, self._since, self._looks = progress, now, 0
            return
        self._looks += 1
        if self._looks < 2 or now - self._since < HANGS_AFTER:
            return
        if guard is not None:
            guard.hangs_since = self._since
            self._hanging = guard
        if not self._has_logged:
            self._has_logged = True
            self._next_report = now
            log.warning(
                "%s has not returned for %.0f s; until it does, nothing is counted or reported; the application is not affected",
                "the agent's thread" if guard is None else f"plugin {guard.plugin!r}: {guard.place}",
                now - self._since,
            )
        if now >= self._next_report:
            self._next_report = now + self._report_every()
            self._report()
