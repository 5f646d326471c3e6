"""Threads of the agent. Starting one is refused in many places, and must never cost the application anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

is_own_thread: Final[ContextVar[bool]] = ContextVar("scout_core_is_own_thread", default=False)
"""Whether this is a thread that ``start_thread`` started. A ContextVar, because gevent's and eventlet's threads share a real one."""


def start_thread(target: Callable[[], object], name: str) -> threading.Thread | Exception:
    """
    Start a daemon thread.

    Args:
        target: must not raise.

    Returns:
        The thread, or why there is none: there are too many, the interpreter is ending, or it is a subinterpreter without
        daemon threads (Python >= 3.12). Other versions of threads, as those of gevent, may raise anything.
    """

    def run() -> None:
        is_own_thread.set(True)
        target()

    try:
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
    except Exception as error:  # noqa: BLE001  # the application's thread must not notice
        return error
    return thread
