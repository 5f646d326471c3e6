"""Distinguish an exception of the application's signal handlers from one of the code that they interrupt."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from types import CodeType

from scout_core.tracebacks import frames_of


def is_from_signal_handler(error: BaseException) -> bool:
    """
    Whether a signal handler of the application raised it.

    A handler runs wherever the main thread is at that moment, which may be a function of a plugin; it is then a frame of the
    traceback. Servers end their workers like this: gunicorn's ``handle_exit`` calls ``sys.exit``.
    """
    handlers = set(_codes())
    return any(code in handlers for code, _ in frames_of(error.__traceback__))


def _codes() -> Iterator[CodeType]:
    """Yield the code of every signal handler that is written in Python."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if not callable(handler):
            continue
        for function in (handler, getattr(handler, "__func__", None), getattr(type(handler), "__call__", None)):  # noqa: B004
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                yield code
