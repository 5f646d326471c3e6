"""The one place where exceptions of plugins stop: every call of a plugin's function goes through a guard.

The application never sees what a plugin raises. A function that keeps failing, or on the agent's thread keeps being
slow, is switched off. What happened is kept as numbers and the last traceback, never as live objects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter_ns
from types import CodeType
from typing import Any, Final

log = logging.getLogger("scout_core.plugins")

IN_A_ROW: Final = 10
WINDOW: Final = 100
"""Of so many last calls half may fail."""
SAMPLE_EVERY: Final = 64
"""One call of so many is timed: two clock readings are a tenth of a short hook."""
_WINDOW_MASK: Final = (1 << WINDOW) - 1


class Guard:
    """One function of one plugin, and how it has done."""

    __slots__ = (
        "plugin", "place", "function", "calls", "errors", "streak", "history", "off", "sampled_calls", "sampled_ns",
        "error", "unlogged", "reraise", "budget",
    )  # fmt: skip

    def __init__(
        self,
        plugin: str,
        place: str,
        function: Callable[..., Any],
        *,
        reraise: bool = False,
        budget: float | None = None,
    ) -> None:
        self.plugin = plugin
        self.place = place
        """The hook's name, or the target it describes."""
        self.function = function
        self.calls = 0
        self.errors = 0
        self.streak = 0
        self.history = 0
        """Last calls as bits: 1 failed."""
        self.off: str | None = None
        """Why it is switched off; None while it works."""
        self.sampled_calls = 0
        self.sampled_ns = 0
        self.error: tuple[str, str, tuple[tuple[CodeType, int], ...]] | None = None
        """The last exception: class, text, and frames from the outermost to where it was raised."""
        self.unlogged = False
        self.reraise = reraise
        self.budget = budget
        """Seconds that a call may take on average; None: not limited."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function; None when it raises or is switched off."""
        if self.off is not None:
            return None
        self.calls = calls = self.calls + 1
        try:
            if calls % SAMPLE_EVERY != 1 and self.budget is None:
                result = self.function(*args, **kwargs)
            else:
                start_ns = perf_counter_ns()
                result = self.function(*args, **kwargs)
                self._took(perf_counter_ns() - start_ns)
        except Exception as error:
            if self.reraise:
                raise
            self.failed(error)
            return None
        if self.history:
            self.streak = 0
            self.history = (self.history << 1) & _WINDOW_MASK
        return result

    def attempt(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call something else on the plugin's behalf, as a step of a generator; None when it raises."""
        try:
            return function(*args)
        except Exception as error:
            if self.reraise:
                raise
            self.failed(error)
            return None

    def failed(self, error: Exception) -> None:
        """Count a failure; after too many the function is switched off."""
        self.errors += 1
        self.streak += 1
        self.history = ((self.history << 1) | 1) & _WINDOW_MASK
        frames: list[tuple[CodeType, int]] = []
        trace = error.__traceback__
        while trace is not None and len(frames) < 50:
            frames.append((trace.tb_frame.f_code, trace.tb_lineno))
            trace = trace.tb_next
        self.error = (type(error).__name__, _text(error), tuple(frames))
        self.unlogged = self.unlogged or self.errors == 1
        if self.streak >= IN_A_ROW:
            self.switch_off(f"{IN_A_ROW} errors in a row")
        elif self.history.bit_count() >= WINDOW // 2:
            self.switch_off(f"{WINDOW // 2} errors in {WINDOW} calls")

    def switch_off(self, reason: str) -> None:
        """Call it no more in this process."""
        self.off = reason
        self.unlogged = True

    def refuse(self, problem: str) -> None:
        """Count a result that makes no sense like an exception."""
        self.failed(ValueError(problem))

    def _took(self, duration_ns: int) -> None:
        self.sampled_calls += 1
        self.sampled_ns += duration_ns
        if self.budget is not None and self.sampled_calls % 10 == 0:
            average = self.sampled_ns / self.sampled_calls / 1e9
            if average > self.budget:
                self.switch_off(f"{average * 1e3:.1f} ms a call, slow_hook_seconds allows {self.budget * 1e3:.1f} ms")

    @property
    def last_error(self) -> str | None:
        """``KeyError: 'plan' at /srv/app/shop/scout.py:12 in score_transaction``; None when there was none."""
        if self.error is None:
            return None
        kind, text, frames = self.error
        where = f" at {frames[-1][0].co_filename}:{frames[-1][1]} in {frames[-1][0].co_name}" if frames else ""
        return f"{kind}: {text}{where}"

    def log(self) -> None:
        """Tell once of the first failure and of being switched off. On the agent's thread."""
        if not self.unlogged:
            return
        self.unlogged = False
        if self.off is not None:
            log.warning(
                "plugin %r: %s is switched off: %s; last error: %s", self.plugin, self.place, self.off, self.last_error
            )
        else:
            log.warning(
                "plugin %r: %s failed: %s; the application is not affected", self.plugin, self.place, self.last_error
            )


def _text(error: Exception) -> str:
    from scout_core.text.message import error_message

    return error_message(error)
