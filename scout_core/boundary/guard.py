"""The one place where exceptions of plugins stop: every call of a plugin's function goes through a guard.

The application never sees what a plugin raises. A function that keeps failing, or exceeds a limit that requires it, is
switched off. Hot code: ``run`` and ``begin`` are called on the application's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from scout_core.boundary.failures import Failures
from scout_core.boundary.pace import Limit, Pace, Slowness
from scout_core.clocks import perf_counter_ns
from scout_core.problems import TooManyErrors
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
        "plugin", "place", "function", "reraise", "has_steps", "time_every", "calls", "failures", "pace", "off", "logged",
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
    ) -> None:
        self.plugin = plugin
        self.place = place
        """The name of the hook, or the target that it describes."""
        self.function = function
        self.reraise = reraise
        """Let its exceptions through: for tests."""
        self.has_steps = has_steps
        """A generator function: called with ``begin``, and a call has succeeded when ``finish`` has."""
        self.calls = 0
        self.failures = Failures()
        self.pace = Pace(limit)
        self.time_every = self.pace.time_every
        """One of this many calls is timed; 1 after a call that took too long."""
        self.off: Reason | Closed | None = None
        """Why it is not called any more; None while it works."""
        self.logged: set[str] = set()
        """Changes that have been logged already; see ``guard_log.py``."""

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function; None when it raises or is switched off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls % self.time_every and calls > EARLY:
                result = self.function(*args, **kwargs)
            else:
                start_ns = perf_counter_ns()
                result = self.function(*args, **kwargs)
                self._add_time(perf_counter_ns() - start_ns)
        except BaseException as error:
            if self._passes(error):
                raise
            self.fail(error)
            return None
        if self.failures.history:
            self.failures.begin_call()
        return result

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Call a generator function up to its first ``yield``: the generator and what it yields; None when it raises or is off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls % self.time_every and calls > EARLY:
                generator = self.function(*args, **kwargs)
                return generator, next(generator, None)
            start_ns = perf_counter_ns()
            generator = self.function(*args, **kwargs)
            first = next(generator, None)
            self._add_time(perf_counter_ns() - start_ns)
            return generator, first
        except BaseException as error:
            if self._passes(error):
                raise
            self.fail(error)
            return None

    def attempt(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Call something else on the plugin's behalf, as a step of a generator; None when it raises."""
        try:
            return function(*args)
        except BaseException as error:
            if self._passes(error):
                raise
            self.fail(error)
            return None

    def finish(self, function: Callable[..., Any], /, *args: Any) -> None:
        """The same for the last step of a generator."""
        try:
            function(*args)
        except BaseException as error:
            if self._passes(error):
                raise
            self.fail(error)
            return
        if self.failures.history:
            self.failures.begin_call()

    def _passes(self, error: BaseException) -> bool:
        """Whether to let it through: in tests, and when it came from outside while the function ran."""
        return self.reraise or is_from_outside(error)

    def fail(self, error: BaseException) -> None:
        """Count a call that failed; after too many the function is switched off."""
        self.failures.begin_call()
        self._add_failure(error)

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

    def _add_failure(self, error: BaseException, message: str | None = None) -> None:
        too_many = self.failures.add(error, message)
        if too_many is not None:
            self.off = too_many

    def _add_time(self, duration_ns: int) -> None:
        pace = self.pace
        pace.add(duration_ns)
        if duration_ns <= pace.allowed_ns:
            self.time_every = pace.time_every
            return
        self.time_every = 1
        if pace.limit is not None and not pace.limit.on_application_thread:
            self.judge()

    @property
    def reason(self) -> Reason | None:
        """Why it was switched off; None while it works, and when it is only closed."""
        return None if isinstance(self.off, Closed) else self.off

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
        self.calls = self.failures.count = 0
        self.pace = Pace(self.pace.limit)
