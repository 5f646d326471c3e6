"""
Threads and locks of the agent, in applications that replace the ones of the standard library while it runs.

``gevent.monkey.patch_all()`` and eventlet's turn threads into greenlets. A lock that was made before belongs to the real thread:
every greenlet on it may enter. A thread that was started before cannot be woken by a greenlet. So both are replaced.
Starting a thread may be refused, too; that must never cost the application anything.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import BuiltinFunctionType, FrameType
from typing import Any, Final
from weakref import WeakKeyDictionary

from attrs import frozen

from scout_core.clocks import monotonic
from scout_core.signals import is_from_signal_handler

is_own_thread: Final[ContextVar[bool]] = ContextVar("scout_core_is_own_thread", default=False)
"""Whether this is a thread that ``start_thread`` started. A ContextVar, because gevent's and eventlet's threads share a real one."""

_greenlets: Final[WeakKeyDictionary[threading.Thread, Any]] = WeakKeyDictionary()
"""Our threads to the greenlet that each runs in, where greenlets are in use."""


def lock_factory() -> object:
    """Return the function that makes locks at this moment: another one after a late patch."""
    return _thread.allocate_lock


class LateLock:
    """A reentrant lock that is replaced after a late patch."""

    def __init__(self) -> None:
        self._made_by = lock_factory()
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it, as a context manager."""
        if self._made_by is not lock_factory():
            self.__init__()  # type: ignore[misc]  # the same as making another one
        with self._lock:
            yield


@frozen
class NoThread:
    """Why a thread could not be started."""

    error: Exception
    is_final: bool
    """No thread can ever be: it is a subinterpreter that refuses daemon threads (Python >= 3.12)."""


def breathe() -> None:
    """
    Let others run, between two steps of work that takes milliseconds.

    After ``gevent.monkey.patch_all()`` our threads are greenlets, and all greenlets of the application wait until one of ours yields.
    A real thread is interrupted anyway, and would wait for the interpreter's lock if it released that here.
    """
    if type(lock_factory()) is not BuiltinFunctionType:
        with suppress(Exception):  # where a greenlet cannot yield, such as in the hub
            sys.modules["time"].sleep(0)  # looked up each time, because a patch replaces it


def frame_of(thread: threading.Thread) -> FrameType | None:
    """Return the innermost frame of one of our threads, also of one that is a greenlet; None when it does not run."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame if frame is not None else getattr(_greenlets.get(thread), "gr_frame", None)


def seconds_left(deadline: float) -> float:
    """Return the seconds until a deadline (monotonic seconds) that a lock of this platform can wait; 0 when it is over."""
    return min(max(0.0, deadline - monotonic()), threading.TIMEOUT_MAX)


def start_thread(
    target: Callable[[], object], name: str, keep: Callable[[threading.Thread | None], object] = lambda thread: None
) -> threading.Thread | NoThread:
    """
    Start a daemon thread, if that is possible.

    Args:
        target: must not raise.
        keep: stores the thread before it runs, or None when it will not run after all: a signal handler of the application may raise
            while this function waits for the thread to start, and nothing is returned then.
    """
    right_to_run = [True]

    def run() -> None:
        if not _is_taken(right_to_run):  # its start was given up
            return
        is_own_thread.set(True)
        library = sys.modules.get("greenlet")
        if library is not None:
            _greenlets[thread] = library.getcurrent()
        target()

    try:
        thread = threading.Thread(target=run, name=name, daemon=True)
    except Exception as error:
        if is_from_signal_handler(error):
            raise
        return NoThread(error, is_final=True)
    try:
        keep(thread)
        thread.start()
    except BaseException as error:
        has_failed = _is_taken(right_to_run)
        if has_failed:
            keep(None)
        if not isinstance(error, Exception) or is_from_signal_handler(error):
            raise
        if has_failed:  # too many threads, the interpreter ends, or whatever a patch raises
            return NoThread(error, is_final=False)
    return thread


def _is_taken(right: list[bool]) -> bool:
    """Take the only item; False when another thread has it."""
    try:
        return right.pop()
    except IndexError:
        return False
