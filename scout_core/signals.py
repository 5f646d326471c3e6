"""
Distinguish what a plugin's function raised from what came from outside while it ran: the end of the process, or of its request.

A signal handler runs wherever the main thread is at that moment, which may be a function of a plugin. Servers end their workers
like this, and applications their time-outs. gevent throws its own into a greenlet that waits.
"""

from __future__ import annotations

import dis
import functools
import signal
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import Final

from scout_core.tracebacks import steps_of

_RAISING: Final = {dis.opmap[name] for name in ("RAISE_VARARGS", "RERAISE")}
_DEEPEST: Final = 10
"""Groups within groups that are looked through."""


def is_from_outside(error: BaseException) -> bool:
    """
    Whether it must reach the application although it arrived in a function of a plugin.

    It must if it is a ``KeyboardInterrupt``, a ``GreenletExit`` or anything that a signal handler raised. So must an exception that is
    not an ``Exception`` and that no ``raise`` statement raised, as one of gevent's time-outs. Functions of plugins are not
    coroutines, so nobody cancels or closes them: their ``CancelledError`` and ``GeneratorExit`` are their own.
    """
    if isinstance(error, KeyboardInterrupt) or is_from_signal_handler(error):
        return True
    if isinstance(error, (Exception, SystemExit, GeneratorExit)) or _is_kind(
        error, "asyncio.exceptions", "CancelledError"
    ):
        return False
    leaves = tuple(_leaves(error))
    if leaves:
        return any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves)
    return _is_kind(error, "greenlet", "GreenletExit") or not _was_raised(error.__traceback__)


def is_from_signal_handler(error: BaseException) -> bool:
    """
    Whether a signal handler of the application raised it, which is then a frame of the traceback.

    It has the code of a handler that is installed. One that removed itself is recognised by its arguments: it is called with the
    frame that it interrupts.
    """
    handlers = set(_codes())
    interrupted: FrameType | None = None
    for step in steps_of(error.__traceback__):
        frame = step.tb_frame
        if frame.f_code in handlers or (interrupted is not None and _is_called_with(frame, interrupted)):
            return True
        interrupted = frame
    return False


def _is_called_with(frame: FrameType, interrupted: FrameType) -> bool:
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04)  # CO_VARARGS
    if count < 1:
        return False
    variables = frame.f_locals
    arguments = [variables.get(name) for name in code.co_varnames[:count]]
    return any(
        argument is interrupted or (type(argument) is tuple and any(part is interrupted for part in argument))
        for argument in arguments
    )


def _was_raised(trace: TracebackType | None) -> bool:
    """Whether a ``raise`` statement is the innermost instruction of the traceback."""
    steps = steps_of(trace)
    if not steps:
        return False
    code, last = steps[-1].tb_frame.f_code.co_code, steps[-1].tb_lasti
    return 0 <= last < len(code) and code[last] in _RAISING


def _leaves(error: BaseException, depth: int = _DEEPEST) -> Iterator[BaseException]:
    """Yield the exceptions in a group, and in groups in it; nothing for other exceptions."""
    if depth and _is_kind(error, "builtins", "BaseExceptionGroup"):  # Python >= 3.11
        for member in getattr(error, "exceptions", ()):
            inner = tuple(_leaves(member, depth - 1))
            yield from inner or (member,)


def _is_kind(error: BaseException, module: str, name: str) -> bool:
    """Whether it is of a class of a module, if that has been imported."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and issubclass(type(error), kind)


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
