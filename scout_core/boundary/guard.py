"""The one place where exceptions of plugins stop: every call of a plugin's function goes through a guard.

The application never sees what a plugin raises. A function that keeps failing, or exceeds a limit that requires it, is
switched off. Hot code: ``run`` and ``begin`` are called on the application's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Final

from scout_core.boundary.blame import culprit_in_application
from scout_core.boundary.failures import Failures
from scout_core.boundary.pace import Limit, Pace, Slowness
from scout_core.clocks import perf_counter_ns
from scout_core.errors import PluginError
from scout_core.hookspecs import ERRORS
from scout_core.problems import Problem, TooManyErrors
from scout_core.recording.span import Span
from scout_core.signals import is_from_outside

EARLY: Final = 24
"""The first calls are all timed, so that one that is slow is found soon."""


class Closed:
    """Why functions are not called though nothing is wrong with them: the agent stopped, or their plugin failed."""


Reason = TooManyErrors | Slowness
"""Why a function was switched off."""


class Guard:
    """One function of one plugin: calls it, contains what it raises, and records how it does."""

    __slots__ = (
        "plugin", "place", "function", "reraise", "has_steps", "untimed_until", "calls", "failures", "pace", "off", "hangs_since", "logged",
        "entered", "module", "when", "unfollowed",
    )  # fmt: skip

    def __init__(
        self,
        plugin: str,
        place: str,
        function: Callable[..., Any],
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
        self.function = function
        self.reraise = reraise
        """Let its exceptions through: for tests."""
        self.when = ""
        """``failed`` or ``errors`` if it is called only for such transactions; see ``hookspecs.when_failed``."""
        self.unfollowed: tuple[str, ...] = ()
        """Results of the target after which its span does not last; see ``unfollowed.py``."""
        self.has_steps = has_steps
        """A generator function: called with ``begin``, and a call has succeeded when ``finish`` has."""
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
        self.entered: set[int] = set()
        """Threads that are in a timed call of it, or note one that failed. An exception from outside may leave one here."""

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function; None when it raises or is switched off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls < self.untimed_until:
                result = self.function(*args, **kwargs)
            else:
                result = self._timed(self.function, args, kwargs)
        except BaseException as error:
            if self._contains(error):
                return None
            raise
        if self.failures.history:
            self.failures.begin_call()
        return result

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """
        Call a generator function up to its first ``yield``; None when it raises or is off.

        Returns:
            The generator, and what it yields: None when it has ended. For a bare ``yield``, a span that is not recorded.
        """
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls < self.untimed_until:
                generator = self.function(*args, **kwargs)
                described = next(generator, None)
                if described is None and generator.gi_frame is not None:
                    described = _unrecorded()
                return generator, described
            return self._timed(self._first_step, args, kwargs)  # type: ignore[no-any-return]
        except BaseException as error:
            if self._contains(error):
                return None
            raise

    def attempt(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Call something else on the plugin's behalf, as a step of a generator; None when it raises."""
        try:
            return function(*args)
        except BaseException as error:
            if self._contains(error):
                return None
            raise

    def finish(self, function: Callable[..., Any], /, *args: Any) -> None:
        """The same for the last step of a generator."""
        try:
            function(*args)
        except BaseException as error:
            if self._contains(error):
                return
            raise
        if self.failures.history:
            self.failures.begin_call()

    def _first_step(self, /, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        generator = self.function(*args, **kwargs)
        described = next(generator, None)
        if described is None and generator.gi_frame is not None:
            described = _unrecorded()
        return generator, described

    def _timed(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """
        Call and time it.

        A function that is called within its own call makes that call, and would be called again forever. Only timed calls are
        examined for that, which are the first ones, and all once it has happened.

        Raises:
            PluginError: it is called within its own call.
        """
        if (here := get_ident()) in self.entered:
            around = self._innermost_entry()
            if around is not None:
                self.pace.time_every, self.untimed_until = 1, 0
                if around is not _TIMED:  # the core's own work on a failed call made the call
                    return None
                raise PluginError(f"it calls {self.place} itself, so it is called for its own call; remove that call")
        try:
            self.entered.add(here)
            start_ns = perf_counter_ns()
            result = function(*args, **kwargs)
            self._add_time(perf_counter_ns() - start_ns)
            return result
        finally:
            self.entered.discard(here)

    def _innermost_entry(self) -> CodeType | None:
        """Return which method of this guard is running around the current timed call; None: the thread's mark was left over."""
        frame: FrameType | None = sys._getframe(2)  # the caller of `_timed`
        while frame is not None:
            if frame.f_code in (_TIMED, _CONTAINS) and frame.f_locals.get("self") is self:
                return frame.f_code
            frame = frame.f_back
        return None

    def _contains(self, error: BaseException) -> bool:
        """Count a call that failed. False: let the exception pass, in tests and when it came from outside while the function ran."""
        if self.reraise:
            return False
        here = get_ident()
        is_outermost = here not in self.entered
        try:
            self.entered.add(here)
            self.untimed_until = 0  # a target that is called below is noticed
            if is_from_outside(error):
                return False
            self.fail(error)
            return True
        finally:
            if is_outermost:
                self.entered.discard(here)

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
            ValueError: in tests.
        """
        error = ValueError(problem)
        if self.reraise:
            raise error
        if self.has_steps:  # any other call has been noted already, as one that succeeded
            self.failures.begin_call()
        self._add_failure(error, problem)

    def _add_failure(
        self, error: BaseException, message: str | None = None, *, is_of_application: bool = False
    ) -> None:
        too_many = self.failures.add(error, message, is_of_application=is_of_application)
        if too_many is not None:
            self.off = too_many

    def _add_time(self, duration_ns: int) -> None:
        pace = self.pace
        pace.add(duration_ns)
        if duration_ns <= pace.allowed_ns:
            calls = self.calls
            if calls >= EARLY:
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


def _unrecorded() -> Span:
    """Return a span for a call of which a describer wants to know only the result: it has begun elsewhere, so entering it does nothing."""
    span = Span("Unrecorded/call")
    span.start_ns = 1
    return span


_TIMED: Final = Guard._timed.__code__
_CONTAINS: Final = Guard._contains.__code__
