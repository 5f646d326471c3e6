"""The one place where exceptions of plugins stop: every call of a plugin's function goes through a guard.

The application never sees what a plugin raises. A function that keeps failing, or exceeds a limit that requires it, is
switched off: ``health.py`` records how it does. Hot code: ``run``, ``describe``, ``begin`` and ``send`` are called on the
application's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Final

from scout_core.boundary.health import Health
from scout_core.boundary.pace import Limit
from scout_core.clocks import perf_counter_ns
from scout_core.errors import PluginError
from scout_core.recording.span import Span
from scout_core.signals import is_from_outside


class Guard(Health):
    """One function of one plugin: calls it, contains what it raises, and records how it does."""

    __slots__ = ("function", "entered")

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
        super().__init__(plugin, place, limit=limit, reraise=reraise, has_steps=has_steps, module=module)
        self.function = function
        self.entered: set[int] = set()
        """Threads that are in a timed call of it, or note one that failed. An exception from outside may leave one here."""

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function; None when it raises or is switched off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls < self.untimed_until:
                return self.function(*args, **kwargs)
            result = self._timed(self.function, args, kwargs)
        except BaseException as error:
            if self._contains(error):
                return None
            raise
        if self.failures.history:  # while it is not 0, every call is timed
            self.failures.begin_call()
        return result

    def describe(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do the same as ``run``: a wrapper has the arguments like this, and taking them apart costs as much as the rest."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls < self.untimed_until:
                return self.function(*args, **kwargs)
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

    def send(self, description: Generator[Any, Any, object], result: object) -> None:
        """Send a generator the result of the call that it describes: it runs from its ``yield`` to its end."""
        try:
            description.send(result)
            description.close()
            raise PluginError("a describer must yield once, the span; this one yielded again")
        except StopIteration:
            pass  # the end
        except BaseException as error:
            if self._contains(error):
                return
            raise
        if self.failures.history:
            self.failures.begin_call()

    def finish(self, function: Callable[..., Any], /, *args: Any) -> None:
        """Call something else as the last step of a generator."""
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


def _unrecorded() -> Span:
    """Return a span for a call of which a describer wants to know only the result: it has begun elsewhere, so entering it does nothing."""
    span = Span("Unrecorded/call")
    span.start_ns = 1
    return span


_TIMED: Final = Guard._timed.__code__
_CONTAINS: Final = Guard._contains.__code__
