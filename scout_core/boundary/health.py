"""How one function of one plugin does: how often it is called and fails, how long it takes, and why it is not called any more."""

from __future__ import annotations

from typing import Final

from scout_core.boundary.blame import culprit_in_application
from scout_core.boundary.failures import Failures
from scout_core.boundary.pace import Limit, Pace, Slowness
from scout_core.errors import InvalidResult
from scout_core.hookspecs import ERRORS
from scout_core.problems import Problem, TooManyErrors
from scout_core.recording import context

EARLY: Final = 24
"""The first calls are all timed, so that one that is slow is found soon."""


MOST_NOTED: Final = 5
"""Classes of results, and of headers, that are shown for one target."""


class Closed:
    """Why functions are not called though nothing is wrong with them: the agent stopped, or their plugin failed."""


Reason = TooManyErrors | Slowness
"""Why a function was switched off."""


class Health:
    """How one function of one plugin does; ``Guard`` adds how it is called."""

    __slots__ = (
        "plugin", "place", "module", "reraise", "has_steps", "untimed_until", "calls", "failures", "pace", "off", "hangs_since",
        "logged", "when", "unfollowed", "unsent",
    )  # fmt: skip

    def __init__(
        self,
        plugin: str,
        place: str,
        *,
        limit: Limit | None = None,
        reraise: bool = False,
        has_steps: bool = False,
        module: str = "",
    ) -> None:
        self.plugin = plugin
        self.module = module
        """The plugin's module; the module of the function itself belongs to it in any case."""
        self.place = place
        """The name of the hook, or the target that it describes."""
        self.reraise = reraise
        """Let its exceptions through: for tests."""
        self.when = ""
        """``failed`` or ``errors`` if it is called only for such transactions; see ``hookspecs.when_failed``."""
        self.unfollowed: tuple[str, ...] = ()
        """Results of the target after which its span does not last; see ``unfollowed.py``."""
        self.unsent: tuple[str, ...] = ()
        """Clauses about calls that those of the trace cannot be added to: ``its caller gives headers of type int``."""
        self.has_steps = has_steps
        """A generator function: called with ``begin``, and a call has succeeded when ``send`` or ``finish`` has."""
        self.calls = 0
        self.failures = Failures()
        self.pace = Pace(limit)
        self.untimed_until = 0
        """The number of the next call that is timed, and every call from there on until one of them has ended well; 0: the next one."""
        self.off: Reason | Closed | None = None
        """Why it is not called any more; None while it works."""
        self.hangs_since: float | None = None
        """Monotonic seconds since which a call has not returned, when that is very long; see ``sending/watchdog.py``."""
        self.logged: set[str] = set()
        """Changes that have been logged already; see ``guard_log.py``."""

    def note_unfollowed(self, result: str) -> None:
        """Note a class of results after which the span of its target does not last: ``a context manager (Lock)``."""
        if len(self.unfollowed) < MOST_NOTED:
            self.unfollowed = (*self.unfollowed, result)

    def note_unsent(self, reason: str) -> None:
        """Count a call whose trace headers are not sent, and note why, as a clause: ``its caller gives headers of type int``."""
        tracer = context.tracer
        if tracer is not None:
            tracer.headers_unsent += 1
        if reason not in self.unsent and len(self.unsent) < MOST_NOTED:
            self.unsent = (*self.unsent, reason)

    def fail(self, error: BaseException) -> None:
        """
        Count a call that failed; after too many the function is switched off.

        An exception from an object of the application counts once for each function that raises it: one bad view must not end
        the recording of all others.
        """
        culprit = culprit_in_application(error, plugin=self.module, target=self.place)
        if self.failures.is_known(culprit):
            return
        self.failures.begin_call()
        self._add_failure(error, is_of_application=culprit is not None)

    def refuse(self, problem: str) -> None:
        """
        Count a call whose result cannot be used as one that failed.

        Raises:
            InvalidResult: in tests.
        """
        if self.reraise:
            raise InvalidResult(problem)
        error = ValueError(problem)
        if self.has_steps:  # any other call has been noted already, as one that succeeded
            self.failures.begin_call()
        self._add_failure(error, problem)

    def _add_failure(
        self, error: BaseException, message: str | None = None, *, is_of_application: bool = False
    ) -> None:
        too_many = self.failures.add(error, message, is_of_application=is_of_application)
        self.untimed_until = 0  # until this failure is of long ago, each call is timed, and noted
        if too_many is not None:
            self.off = too_many

    def _add_time(self, duration_ns: int) -> None:
        pace = self.pace
        pace.add(duration_ns)
        if duration_ns <= pace.allowed_ns:
            calls = self.calls
            if calls >= EARLY and not self.failures.history:
                self.untimed_until = calls - calls % pace.time_every + pace.time_every
            return
        self.untimed_until = 0
        if pace.limit is not None and not pace.limit.on_application_thread:
            self.judge()

    def is_for(self, *, has_failed: bool, has_errors: bool) -> bool:
        """Whether it decides about transactions that have failed, or that have errors which something handled."""
        return not self.when or has_failed or (has_errors and self.when == ERRORS)

    @property
    def reason(self) -> Reason | None:
        """Why it was switched off; None while it works, and when it is only closed."""
        return None if isinstance(self.off, Closed) else self.off

    @property
    def problem(self) -> Problem | None:
        """Something that is wrong at this moment though the function is called: of exporters."""
        return None

    @property
    def is_recovered(self) -> bool:
        """Whether its errors are over and need no attention: of exporters."""
        return False

    def judge(self) -> None:
        """Switch the function off when it exceeds a limit that requires it. On the agent's thread."""
        if self.off is None:
            slowness = self.pace.slowness
            if slowness is not None and slowness.limit.switches_off:
                self.off = slowness

    def close(self) -> None:
        """Do not call the function any more; a function that was switched off stays so."""
        self.off = self.off or Closed()

    def forget_calls(self) -> None:
        """Count from zero, as in a forked child. What was switched off stays so."""
        self.calls = self.failures.count = self.untimed_until = 0
        self.hangs_since = None
        self.pace = Pace(self.pace.limit)
