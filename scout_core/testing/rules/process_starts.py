"""
Watches what a snapshot does not show: threads, child processes, forks, and functions registered for later.

For a fresh process only: what watches them stays in place.
"""

from __future__ import annotations

import _thread
import atexit
import codecs
import functools
import importlib
import os
import subprocess  # noqa: F401  # before its function is replaced: it has an event of its own
import sys
import threading
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any, Final

_THREAD_STARTS: Final = (
    "start_new_thread",
    "start_new",
    "_start_new_thread",
    "start_joinable_thread",
    "_start_joinable_thread",
)
"""All functions of ``_thread`` and ``threading`` that start a thread. Audit hooks report them only since Python 3.12."""
_REGISTRATIONS: Final[tuple[tuple[Any, str], ...]] = (  # Any: modules
    (os, "register_at_fork"),
    (sys, "addaudithook"),
    (codecs, "register"),
    (codecs, "register_error"),
    (atexit, "register"),
    (threading, "_register_atexit"),
)
"""Functions that cannot be asked what was registered."""
_AT_EXIT: Final = ("register", "_register_atexit")
_PROCESSES: Final = {
    "subprocess.Popen": "starts the process {0}",
    "os.posix_spawn": "starts the process {0}",
    "os.system": "starts the process {0}",
    "os.spawn": "starts the process {1}",
    "os.exec": "replaces the process by {0}",
    "os.fork": "forks the process",
    "os.forkpty": "forks the process",
    "fork_exec": "starts a process",
}
"""Audit event to its text; ``multiprocessing`` calls ``fork_exec``, which has no event."""
MOST_SECONDS_AT_EXIT: Final = 2.0


class Starts:
    """Collects them from the moment on when it is made; ``reset`` forgets what was collected."""

    def __init__(self) -> None:
        self.threads: list[Any] = []  # Any: the function of each thread
        self.processes: list[str] = []
        """Clauses: ``starts the process ls``."""
        self.registered: list[str] = []
        """Names of the functions that were called to register something: ``codecs.register``."""
        self._at_exit: list[Callable[[], object]] = []
        for module in (_thread, threading):
            for name in _THREAD_STARTS:
                if name in vars(module):
                    setattr(module, name, self._watching_threads(vars(module)[name]))
        for module, name in _REGISTRATIONS:
            if hasattr(module, name):
                setattr(module, name, self._watching_registrations(module, name))
        sys.addaudithook(self._audit)
        self._watch_fork_exec()

    def reset(self) -> None:
        """Forget what was collected, except for functions that run when the process ends."""
        self.threads.clear()
        self.processes.clear()
        self.registered.clear()

    def slow_at_exit(self) -> Iterator[tuple[str, float]]:
        """Call what was registered to run when the process ends; yield names and seconds of functions that take too long."""
        while self._at_exit:
            function = self._at_exit.pop()
            start = perf_counter()
            thread = threading.Thread(target=_quietly, args=(function,), daemon=True, name="scout-core-at-exit")
            thread.start()
            thread.join(MOST_SECONDS_AT_EXIT)
            if thread.is_alive():
                target = getattr(function, "func", function)
                yield getattr(target, "__qualname__", repr(target)), perf_counter() - start

    def _watching_threads(self, start: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(start)
        def watching(function: Any, *args: Any, **kwargs: Any) -> Any:
            self.threads.append(function)
            return start(function, *args, **kwargs)

        return watching

    def _watching_registrations(self, module: Any, name: str) -> Callable[..., Any]:
        register = getattr(module, name)

        @functools.wraps(register)
        def watching(*args: Any, **kwargs: Any) -> Any:
            caller = str(sys._getframe(1).f_globals.get("__name__")).partition(".")[0]
            if caller != "scout_core" and caller not in sys.stdlib_module_names:
                if name in _AT_EXIT:
                    function, *given = args
                    self._at_exit.append(functools.partial(function, *given, **kwargs))
                else:
                    self.registered.append(f"{module.__name__}.{name}")
            return register(*args, **kwargs)

        return watching

    def _audit(self, event: str, arguments: Any) -> None:
        text = _PROCESSES.get(event)
        if text is not None:
            self.processes.append(text.format(*[_shown(argument) for argument in arguments]))

    def _watch_fork_exec(self) -> None:
        module: Any = importlib.import_module("_posixsubprocess")
        fork_exec = module.fork_exec

        def watching(*args: Any) -> Any:
            self.processes.append(_PROCESSES["fork_exec"])
            return fork_exec(*args)

        module.fork_exec = watching


def _shown(argument: object) -> str:
    if isinstance(argument, bytes):
        return os.fsdecode(argument)
    return argument if isinstance(argument, str) else repr(argument)


def _quietly(function: Callable[[], object]) -> None:
    try:
        function()
    except BaseException:  # noqa: BLE001  # the interpreter prints what they raise, and ends
        return
