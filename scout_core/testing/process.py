"""
What of a process is the application's: its environment, its handlers of signals, and which threads there are.

For a fresh process alone: what sees threads begin is not taken away again.
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
"""All ways to start one, of ``_thread`` and in ``threading``. The interpreter tells its audit hooks of them since 3.12 only."""
_ENVIRONMENT: Final = "read the environment and leave it as it is; what you set yourself is an option of your plugin"
_SIGNALS: Final = "leave signals to the application; on_stop is called when the process ends"
_THREAD: Final = (
    "on_request_end, on_report and exporters run on the agent's own thread already; "
    "a thread that must be is ended and joined in on_stop"
)


class Process:
    """Made before a plugin is imported; tells what the plugin has changed since, each thing once."""

    def __init__(self) -> None:
        self._begun: list[Any] = []  # Any: what each thread is to call
        self._told: set[str] = set()
        self.look()
        for module in (_thread, threading):
            for name in _STARTS:
                if name in vars(module):
                    setattr(module, name, self._noting(vars(module)[name]))

    def look(self) -> None:
        """From now on: what has changed before is not the plugin's doing."""
        self._environment = dict(os.environ)
        self._handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._begun.clear()

    def changed(self, doing: str) -> Iterator[Problem]:
        """
        Environment and signals.

        Args:
            doing: for the sentence, as ``importing scout_redis``.
        """
        names = sorted({*self._environment, *os.environ})
        for name in names:
            if self._environment.get(name) != os.environ.get(name):
                yield from self._tell(f"the environment variable {name}", f"{doing} changes", _ENVIRONMENT)
        for number, handler in self._handlers.items():
            if signal.getsignal(number) != handler:
                yield from self._tell(f"the handler of {_signal(number)}", f"{doing} changes", _SIGNALS)

    def threads(self, doing: str, *, can_end: bool = False) -> Iterator[Problem]:
        """
        Those that have begun.

        Args:
            doing: as above.
            can_end: those that have ended are no problem, since something was there to end them.
        """
        for function in self._begun:
            thread = getattr(function, "__self__", None)
            if not isinstance(thread, threading.Thread):
                yield from self._tell(
                    f"a thread for {getattr(function, '__qualname__', function)}", f"{doing} starts", _THREAD
                )
            elif not thread.name.startswith("scout-core") and (thread.is_alive() or not can_end):
                yield from self._tell(f"the thread {thread.name}", f"{doing} starts", _THREAD)

    def _tell(self, thing: str, doing: str, advice: str) -> Iterator[Problem]:
        if thing not in self._told:
            self._told.add(thing)
            yield Problem("process", f"{doing} {thing}", advice)

    def _noting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def noting(function: Any, *args: Any, **kwargs: Any) -> Any:
            self._begun.append(function)
            return start(function, *args, **kwargs)

        return noting


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals between the first and the last
        return f"signal {number}"
