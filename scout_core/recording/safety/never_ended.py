"""
Spans and transactions that are begun or kept open, and freed without an end: nothing can end them any more, so they are counted.

Only what is kept open is followed, by a weak reference. Its callback may run on any thread, between any two instructions, and while
the collector runs, so it is a method of a ``deque``: it takes no lock, and there is no code in Python in which an exception of a signal
handler would be lost. What the deque has is counted later. That also keeps the count right where the collector frees an object that
ends the span while it is finalised, because by then the weak reference is dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from scout_core.recording.context import KEPT_OPEN, has_ended, leave
from scout_core.recording.safety.contain import lose

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.tracer import Tracer

    _Reference = ref[Span]
else:
    _Reference = ref


class KeptOpen(_Reference):
    """A weak reference to a span or transaction that is open until something calls ``end``; it has one to this, too."""

    __slots__ = ("tracer", "is_transaction", "is_over", "is_counted")

    tracer: Tracer
    is_transaction: bool
    """It is recorded as a transaction, not as a span of another one."""
    is_over: bool
    """It has ended, or its block ends it."""
    is_counted: bool


def follow(span: Span) -> None:
    """Count a span that has begun as never ended if it is freed before ``let_go``. Repeating it changes nothing."""
    try:
        transaction = span.transaction
        if (
            transaction is None
            or not span.start_ns
            or getattr(span, "own_watch", None) is not None
            or transaction.tracer.is_retired
        ):
            return
        if getattr(span, "has_joined", False):  # the transaction that it has joined has the end
            return
        tracer = transaction.tracer
        if tracer.freed:
            count_freed(tracer)
        kept = KeptOpen(span, tracer.freed.append)
        kept.tracer = tracer
        kept.is_transaction = transaction is span
        kept.is_over = kept.is_counted = False
        span.own_watch = tracer.kept_open[id(kept)] = kept
        if has_ended(span):  # on another thread, meanwhile
            let_go(span)
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        lose(span, error)


def let_go(span: Span) -> None:
    """Do not count it: it ends, or its block will end it."""
    kept = getattr(span, "own_watch", None)
    if type(kept) is not KeptOpen:
        return
    span.own_watch = None
    kept.is_over = True
    tracer = kept.tracer
    tracer.kept_open.pop(id(kept), None)
    if kept.is_counted:  # the collector frees what ends it now
        _add(kept, -1)


def stays_open(span: Span, kind: type[BaseException] | None) -> bool:
    """
    Leave a span at the end of its block, which has ended or is kept open; what is around it becomes current.

    Args:
        kind: class of the exception that leaves the block; it ends a span that is kept open.

    Returns:
        False: the block ends it after all.
    """
    if span.stop_ns == KEPT_OPEN:
        if kind is not None:
            let_go(span)
            return False
        follow(span)
    leave(span)
    return True


def count_freed(tracer: Tracer) -> None:
    """Count what has been freed without an end since the last time."""
    freed = tracer.freed
    while freed:
        try:
            kept = freed.popleft()
        except IndexError:  # another thread has taken it
            return
        if tracer.kept_open.pop(id(kept), None) is not None and not kept.is_over:
            kept.is_counted = True
            _add(kept, 1)


def stop_following(tracer: Tracer) -> list[Span]:
    """Count nothing of it any more; return what is still alive."""
    alive = []
    for kept in list(tracer.kept_open.values()):
        kept.is_over = True
        span = kept()
        if span is not None:
            alive.append(span)
    tracer.kept_open.clear()
    return alive


def _add(kept: KeptOpen, number: int) -> None:
    if kept.is_transaction:
        kept.tracer.never_ended += number
    else:
        kept.tracer.spans_never_ended += number
