"""The innermost open span of this thread or task, and the tracer that records.

These two are the only module-level state. asyncio tasks and copied contexts inherit the variable, so parallel children
have the right parent; a new thread starts without one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.signals import is_from_signal_handler

if TYPE_CHECKING:
    from scout_core.recording.facts import Facts
    from scout_core.recording.record import Follower
    from scout_core.recording.span import Span
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

KEPT_OPEN: Final = -1
"""The end of a span that is open, and outlives its block; see ``Span.keep_open``."""

current: ContextVar[Span | None] = ContextVar("scout_core_span", default=None)
"""The innermost open span; None outside a transaction."""

tracer: Tracer | None = None
"""The tracer of this process; None while no agent runs."""


def current_transaction() -> Transaction | None:
    """The open transaction of this thread or task; None outside a transaction, and once it has ended."""
    try:
        span = innermost_open(current.get())
        while span is not None:
            transaction = span.transaction
            if transaction is not None and transaction.tracer.silent is not transaction:
                return None if transaction.ignored is not None else transaction
            span = innermost_open(around(span))  # a hook asks
    except AttributeError as error:  # the application has set one of them to something else
        if is_from_signal_handler(error):
            raise
    return None


def innermost_open(span: Span | None) -> Span | None:
    """
    Return the innermost span, from this one outwards, that is open, and whose transaction is; None: nothing is open.

    A span may still be current after its end: in the context where it began, when it was ended in another one.
    """
    while span is not None:
        transaction = span.transaction
        if transaction is None:
            return None
        if not has_ended(span) and not transaction.is_finished:
            return span
        span = around(span)
    return None


def has_ended(span: Facts) -> bool:
    """Whether it is over. One that is kept open is not; nor is it compared by its size, in case it was set to something else."""
    return bool(span.stop_ns) and span.stop_ns != KEPT_OPEN


def around(span: Span) -> Span | None:
    """Return the span that was current when this one began; for a transaction, only if it is detached from the one around it."""
    return span.own_parent if span.own_parent is not None else getattr(span, "own_before", None)


def lead_past(innermost: Span, ended: Facts, outer: Span | None) -> Transaction | None:
    """
    Let a transaction that began inside one that has ended, and is detached from it, be followed by what is around that one.

    Returns:
        The detached transaction, or None.
    """
    span: Any = innermost
    while span is not None:
        inside = getattr(span, "own_before", None)
        if inside is not None and (inside is ended or inside.transaction is ended):
            span.own_before = outer
            return span  # type: ignore[no-any-return]  # only a transaction has it
        span = around(span)
    return None


def still_needed(span: Span | None) -> Span | None:
    """Return the innermost span, from this one outwards, that is open, or whose request takes what follows its end; None: neither."""
    found = innermost_open(span)
    while found is None and span is not None:
        if getattr(span, "recorder", None) is not None:
            return span
        span = around(span)
    return found


def is_within(span: Span | None, transaction: Transaction) -> bool:
    """Whether a span began somewhere inside a transaction: also in one that is detached from it, or while hooks run."""
    while span is not None:
        if span.transaction is transaction:
            return True
        span = around(span)
    return False


def open_parent(innermost: Span) -> Span | None:
    """Return the span in which one that begins now is, where the innermost one has ended or is closed; None, and counted: none."""
    found = innermost_open(innermost)
    transaction = (innermost if found is None else found).transaction
    if found is not None and transaction is not None and not transaction.is_closed:
        return found
    if transaction is None or transaction.start_ns:  # otherwise a hook runs
        # One that is open takes no spans because it is ignored, or its response has been sent: only the latter has a follower.
        follower = follower_of(innermost) if found is None else getattr(transaction, "recorder", None)
        after = None if follower is None else follower.follow()
        if after is not None:
            return after
    if transaction is not None:
        transaction.tracer.count_late(transaction)
    return None


def follower_of(span: Span | None) -> Follower | None:
    """Return what takes the spans that begin after the end of the innermost transaction around a span that has something like this."""
    while span is not None:
        found: Follower | None = getattr(span, "recorder", None)
        if found is not None:
            return found
        span = around(span)
    return None


def leave(span: Span) -> None:
    """Make what is around a span current, where it still is."""
    if collecting and is_collecting_here():
        return
    if current.get() is span:
        current.set(around(span))
    else:
        step_out(span)


def step_out(span: Span) -> None:
    """
    Leave a span that is not the innermost one.

    Spans that were opened inside it and never closed must not stay current. If it is not an ancestor of the current span, because
    it is closed out of order or in another context, the current span stays.
    """
    ancestor = current.get()
    while ancestor is not None:
        ancestor = ancestor.own_parent
        if ancestor is span:
            current.set(span.own_parent)
            return
