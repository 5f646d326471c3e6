"""The one place where exceptions of plugins stop: every call of a plugin's function goes through a guard.

The application never sees what a plugin raises. A function that keeps failing, or on the agent's thread keeps being
slow, is switched off. What happened is kept as numbers and the last traceback, never as live objects.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from time import perf_counter_ns
from types import CodeType
from typing import Any, Final

from scout_core.boundary.samples import ENOUGH, Samples
from scout_core.boundary.signals import is_of_a_signal
from scout_core.errors import ScoutError

log = logging.getLogger("scout_core.plugins")

IN_A_ROW: Final = 10
WINDOW: Final = 100
"""Of so many last calls half may fail."""
SAMPLE_EVERY: Final = 64
"""One call of so many is timed: two clock readings are a tenth of a short hook."""
EARLY: Final = 24
"""The first calls are all timed, so that one that is slow is told soon."""
SLOW_WINDOW: Final = 10
"""Of so many last calls half may be too slow: one that waited for a processor, or imported something, is no habit."""
MAX_FRAMES: Final = 50
_CORE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep
_BUILTIN: Final = os.path.join(_CORE, "builtin", "")
"""Our own plugins; the other frames in the core say nothing about one."""
_IN_A_ROW_MASK: Final = (1 << IN_A_ROW) - 1
_WINDOW_MASK: Final = (1 << WINDOW) - 1
_SLOW_MASK: Final = (1 << SLOW_WINDOW) - 1


class Guard:
    """One function of one plugin, and how it has done."""

    __slots__ = (
        "plugin", "place", "function", "calls", "errors", "history", "off", "samples", "slow", "error", "unlogged",
        "reraise", "budget", "limit", "is_over_limit", "is_strict", "has_steps",
    )  # fmt: skip

    def __init__(
        self,
        plugin: str,
        place: str,
        function: Callable[..., Any],
        *,
        reraise: bool = False,
        budget: float | None = None,
        limit: float | None = None,
        is_strict: bool = False,
        has_steps: bool = False,
    ) -> None:
        self.plugin = plugin
        self.place = place
        """The hook's name, or the target it describes."""
        self.function = function
        self.calls = 0
        self.errors = 0
        self.history = 0
        """Last calls as bits, the newest lowest: 1 failed."""
        self.off: str | None = None
        """Why it is switched off; None while it works."""
        self.samples = Samples()
        self.slow = 0
        """Last calls as bits: 1 took longer than the budget."""
        self.error: tuple[str, str, tuple[tuple[CodeType, int], ...]] | None = None
        """The last exception: class, text, and at most 50 frames down to where it was raised."""
        self.unlogged = False
        self.reraise = reraise
        self.budget = budget
        """Seconds that a call may take; a function that takes longer again and again is switched off. None: not limited."""
        self.limit = limit
        """Seconds that 95 of 100 sampled calls must stay below, or it is told; None: not limited."""
        self.is_over_limit = False
        self.is_strict = is_strict
        """Over the limit it is switched off, too."""
        self.has_steps = has_steps
        """It is a generator function: called with ``begin``, and a call has gone well when ``finish`` has."""

    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function; None when it raises or is switched off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls % SAMPLE_EVERY != 1 and calls > EARLY and self.budget is None:
                result = self.function(*args, **kwargs)
            else:
                start_ns = perf_counter_ns()
                result = self.function(*args, **kwargs)
                self._took(perf_counter_ns() - start_ns)
        except (Exception, SystemExit) as error:
            if self._passes(error):
                raise
            self.failed(error)
            return None
        if self.history:
            self.history = (self.history << 1) & _WINDOW_MASK
        return result

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Call a generator function up to its first ``yield``: the generator and what it yields; None when it raises or is off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls % SAMPLE_EVERY != 1 and calls > EARLY:
                generator = self.function(*args, **kwargs)
                return generator, next(generator, None)
            start_ns = perf_counter_ns()
            generator = self.function(*args, **kwargs)
            first = next(generator, None)
            self.samples.add(perf_counter_ns() - start_ns)
            return generator, first
        except (Exception, SystemExit) as error:
            if self._passes(error):
                raise
            self.failed(error)
            return None

    def _passes(self, error: BaseException) -> bool:
        """Whether it is not the plugin's to stop: in tests, and where a handler of a signal ends the application."""
        return self.reraise or (isinstance(error, SystemExit) and is_of_a_signal(error))

    def attempt(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Call something else on the plugin's behalf, as a step of a generator; None when it raises."""
        try:
            return function(*args)
        except (Exception, SystemExit) as error:
            if self._passes(error):
                raise
            self.failed(error)
            return None

    def finish(self, function: Callable[..., Any], /, *args: Any) -> None:
        """The same for the last step of a generator."""
        try:
            function(*args)
        except (Exception, SystemExit) as error:
            if self._passes(error):
                raise
            self.failed(error)
            return
        if self.history:
            self.history = (self.history << 1) & _WINDOW_MASK

    def failed(self, error: BaseException) -> None:
        """Count a call that failed; after too many the function is switched off."""
        self.history = (self.history << 1) & _WINDOW_MASK
        self._note(error, _text(error))

    def refuse(self, problem: str) -> None:
        """
        Count the call whose result makes no sense as one that failed.

        Raises:
            ValueError: in tests.
        """
        error = ValueError(problem)
        if self.reraise:
            raise error
        if self.has_steps:  # otherwise the call is noted already, as one that went well
            self.history = (self.history << 1) & _WINDOW_MASK
        self._note(error, problem)

    def _note(self, error: BaseException, text: str) -> None:
        self.errors += 1
        self.history |= 1
        frames: list[tuple[CodeType, int]] = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if not code.co_filename.startswith(_CORE) or code.co_filename.startswith(_BUILTIN):
                frames.append((code, trace.tb_lineno))
            trace = trace.tb_next
        self.error = (type(error).__name__, text, tuple(frames[-MAX_FRAMES:]))
        self.unlogged = self.unlogged or self.errors == 1
        if self.history & _IN_A_ROW_MASK == _IN_A_ROW_MASK:
            self.switch_off(f"{IN_A_ROW} errors in a row")
        elif self.history.bit_count() >= WINDOW // 2:
            self.switch_off(f"{WINDOW // 2} errors in {WINDOW} calls")

    def switch_off(self, reason: str) -> None:
        """Call it no more in this process."""
        self.off = reason
        self.unlogged = True

    def _took(self, duration_ns: int) -> None:
        self.samples.add(duration_ns)
        if self.budget is None:
            return
        self.slow = (self.slow << 1 | (duration_ns > self.budget * 1e9)) & _SLOW_MASK
        if self.slow.bit_count() >= SLOW_WINDOW // 2:
            average = self.samples.total_ns / self.samples.count / 1e6
            self.switch_off(f"{average:.1f} ms a call, slow_hook_seconds allows {self.budget * 1e3:.1f} ms")

    @property
    def last_error(self) -> str | None:
        """``KeyError: 'plan' at /srv/app/shop/scout.py:12 in score_transaction``; None when there was none."""
        if self.error is None:
            return None
        kind, text, frames = self.error
        where = f" at {frames[-1][0].co_filename}:{frames[-1][1]} in {frames[-1][0].co_name}" if frames else ""
        return f"{kind}: {text}{where}"

    @property
    def traceback(self) -> tuple[tuple[str, int, str], ...]:
        """``(file, line, function)`` of the last exception, innermost first; empty when there was none."""
        frames = self.error[2] if self.error is not None else ()
        return tuple((code.co_filename, line, code.co_name) for code, line in reversed(frames))

    @property
    def slowness(self) -> str:
        """``takes 350 µs, the budget is 200 µs``; empty while it keeps to it."""
        if not self.is_over_limit or self.limit is None:
            return ""
        took = self.samples.quantile(0.95) or 0.0
        return f"takes {took * 1e6:.0f} µs (95th percentile), hook_budget_seconds allows {self.limit * 1e6:.0f} µs"

    def watch_limit(self) -> None:
        """Compare with the limit, and tell once when it is exceeded. On the agent's thread."""
        if self.limit is None or self.is_over_limit or self.off is not None or self.samples.count < ENOUGH:
            return
        took = self.samples.quantile(0.95)
        if took is None or took <= self.limit:
            return
        self.is_over_limit = True
        if self.is_strict:
            self.switch_off(self.slowness)
        else:
            log.warning("plugin %r: %s is slow: it %s", self.plugin, self.place, self.slowness)

    def log(self) -> None:
        """Tell once of the first failure, of being switched off and of being slow. On the agent's thread."""
        self.watch_limit()
        if not self.unlogged:
            return
        self.unlogged = False
        if self.off is not None:
            last = f"; last error: {self.last_error}" if self.error is not None else ""
            log.warning("plugin %r: %s is switched off: %s%s", self.plugin, self.place, self.off, last)
        else:
            log.warning(
                "plugin %r: %s failed: %s; the application is not affected", self.plugin, self.place, self.last_error
            )


def _text(error: BaseException) -> str:
    from scout_core.text.message import error_message

    return str(error) if isinstance(error, ScoutError) else error_message(error)  # ours say what is written in a plugin
