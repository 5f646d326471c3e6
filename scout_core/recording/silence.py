"""
Nothing is recorded while a hook runs: a hook that traces would be called for its own spans and transactions, for ever.

While hooks run, the current span is one of a closed transaction, which turns away whatever begins in it. So recording does not ask
whether a hook runs.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.context import current
from scout_core.recording.span import Span

if TYPE_CHECKING:
    from scout_core.recording.tracer import Tracer

_get = current.get
_set = current.set


class Silence:
    """Context manager: nothing is recorded on this thread, or in this task."""

    __slots__ = ("tracer", "before", "span")

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.span: Span | None = None

    def __enter__(self) -> None:
        if collecting and is_collecting_here():
            return
        self.before = before = _get()
        span = Span("Hook/silence")
        span.transaction = self.tracer.silent
        span.parent = before
        self.span = span
        _set(span)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        span = self.span
        if span is not None:
            _set(self.before)
            span.transaction = self.tracer.finished_placeholder  # a task that a hook has begun may trace
            span.parent = None
