"""Whether ``SystemExit`` was raised by a signal's handler of the application, or by the function that it came out of."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from types import CodeType


def is_of_a_signal(error: SystemExit) -> bool:
    """
    Whether the application ends, because a handler of its own said so.

    A handler runs wherever the main thread is at that moment, be it in a function of a plugin, and is a frame of the traceback
    then. Servers end their workers so: gunicorn's ``handle_exit`` calls ``sys.exit``.
    """
    handlers = set(_codes())
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False


def _codes() -> Iterator[CodeType]:
    """Of all handlers that are written in Python."""
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
