"""
Nothing is recorded while a hook runs: a hook that traces would be called for its own spans and transactions, forever.

While hooks run, the current span is one of a closed transaction, which turns away whatever begins in it. So recording does not ask
whether a hook runs. For the hooks of a transaction's start, that is the transaction itself, which is closed meanwhile: nothing
else can be in it yet. For all others it is a span made for them: other threads and tasks stay in their transaction.

Hot code: ``run_silently`` is called for every span, if a plugin implements ``on_span``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Final

from scout_core.recording.context import current
from scout_core.recording.safety.collecting import collecting, is_collecting_here

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

_get = current.get
_set = current.set


class _SilentSpan:
    """Stands for the current span while hooks run; has only the attributes of a current span that are read."""

    __slots__ = ("transaction", "own_parent")

    transaction: Transaction
    own_parent: Span | None
    stop_ns: Final = 0


def run_silently(tracer: Tracer, hooks: tuple[Callable[[Span], object], ...], span: Span) -> None:
    """Call hooks with a span; nothing that they do is recorded on this thread, or in this task."""
    if collecting and is_collecting_here():  # nothing is recorded anyway, and the variable must not be set
        for hook in hooks:
            hook(span)
        return
    before = _get()
    silence = _SilentSpan()
    silence.transaction = tracer.silent
    silence.own_parent = before
    try:
        _set(silence)  # type: ignore[arg-type]  # see _SilentSpan
        for hook in hooks:
            hook(span)
    finally:
        _set(before)
        _end(silence, tracer)


class Silence:
    """Context manager: the same for what is not called for each span."""

    __slots__ = ("tracer", "before", "span")

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.span: _SilentSpan | None = None

    def __enter__(self) -> None:
        if collecting and is_collecting_here():
            return
        self.before = _get()
        self.span = span = _SilentSpan()
        span.transaction = self.tracer.silent
        span.own_parent = self.before
        _set(span)  # type: ignore[arg-type]  # see _SilentSpan

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.span is not None:
            _set(self.before)
            _end(self.span, self.tracer)


def _end(silence: _SilentSpan, tracer: Tracer) -> None:
    silence.transaction = tracer.finished_placeholder  # a task that a hook has begun may trace
    silence.own_parent = None


def leave_forgotten(held: int) -> None:
    """
    Leave what is current while hooks run where an exception of a signal handler has ended them: then only the context refers to it.

    Args:
        held: references to it by the caller's own variables.
    """
    silence: object = _get()
    if type(silence) is not _SilentSpan or (collecting and is_collecting_here()):
        return
    if sys.getrefcount(silence) - held <= _held_by_context():
        _set(silence.own_parent)
        silence.own_parent = None


@cache
def _held_by_context() -> int:
    """Count what refers to a span that only a context has: that, and the function that counts."""
    context = [_SilentSpan()]
    silence = context[0]
    return sys.getrefcount(silence)
