"""
Changes to the process that a plugin must leave alone: environment variables, signal handlers and threads.

For a fresh process only: the hooks that watch threads start are not removed.
"""

from __future__ import annotations

import _thread
import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from scout_core.testing.problems import Problem

_STARTS: Final = (
    "start_new_thread",
    "start_new",
    "_start_new_thread",
    "start_joinable_thread",
    "_start_joinable_thread",
)
"""All functions of ``_thread`` and ``threading`` that start a thread. Audit hooks report them only since Python 3.12."""
_ENVIRONMENT: Final = "only read the environment; settings of your own are options of your plugin"
_SIGNALS: Final = "leave signals to the application; on_stop is called when the process ends"
_THREAD: Final = (
    "on_request_end, on_report and exporters do not run on the application's threads; "
    "if you need a thread, stop and join it in on_stop"
)


class Process:
    """Finds what a plugin has changed; create it before the plugin is imported. Each change is reported once."""

    def __init__(self) -> None:
        self._started: list[Any] = []  # Any: the function of each thread
        self._reported: set[str] = set()
        self.reset()
        for module in (_thread, threading):
            for name in _STARTS:
                if name in vars(module):
                    setattr(module, name, self._watching(vars(module)[name]))

    def reset(self) -> None:
        """Take a new snapshot: earlier changes do not count."""
        self._environment = dict(os.environ)
        self._handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._started.clear()

    def changed(self, doing: str) -> Iterator[Problem]:
        """
        Report changed environment variables and signal handlers.

        Args:
            doing: for the message, such as ``importing scout_redis``.
        """
        names = sorted({*self._environment, *os.environ})
        for name in names:
            if self._environment.get(name) != os.environ.get(name):
                yield from self._report(f"the environment variable {name}", f"{doing} changes", _ENVIRONMENT)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) != handler:
                yield from self._report(f"the handler of {_signal(number)}", f"{doing} changes", _SIGNALS)

    def threads(self, doing: str, *, can_end: bool = False) -> Iterator[Problem]:
        """
        Report threads that were started.

        Args:
            doing: for the message, as above.
            can_end: ignore threads that have ended.
        """
        for function in self._started:
            thread = getattr(function, "__self__", None)
            if not isinstance(thread, threading.Thread):
                yield from self._report(
                    f"a thread for {getattr(function, '__qualname__', function)}", f"{doing} starts", _THREAD
                )
            elif not thread.name.startswith("scout-core") and (thread.is_alive() or not can_end):
                yield from self._report(f"the thread {thread.name}", f"{doing} starts", _THREAD)

    def _report(self, thing: str, doing: str, advice: str) -> Iterator[Problem]:
        if thing not in self._reported:
            self._reported.add(thing)
            yield Problem("process", f"{doing} {thing}", advice)

    def _watching(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def watching(function: Any, *args: Any, **kwargs: Any) -> Any:
            self._started.append(function)
            return start(function, *args, **kwargs)

        return watching


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal without a name
        return f"signal {number}"
