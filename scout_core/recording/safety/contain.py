"""
Faults of our own on the application's thread, as when a hook or the application has set an attribute to something unusable.

The application never sees them: what cannot be recorded is counted, and the thread does not stay in it. Only called when
something has failed, so nothing here is hot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.recording import context
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.signals import is_from_signal_handler

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

_MOST_NOTED: Final = 100
"""Calls without effect that are noted in one process."""
FAILED_WITHOUT_EXCEPTION: Final = 'tag("error", True) marks a span or transaction as failed without an exception'


def drop(tracer: Tracer, transaction: Transaction, error: Exception) -> None:
    """
    Count a transaction that could not be handed over as dropped, once. The agent's thread logs the first such error.

    Raises:
        Exception: this error, when a signal handler of the application raised it.
    """
    if is_from_signal_handler(error):
        try:
            raise error
        finally:
            del error  # its traceback has this frame: as a cycle it would keep the application's frames alive, and what they hold
    if not transaction.is_handed_over:  # else it has been counted
        transaction.is_handed_over = True
        tracer.failed += 1
        if tracer.fault is None:
            tracer.fault = error


def restore_tracer(transaction: Transaction, error: Exception) -> None:
    """
    Make it possible to hand a transaction over although its end has failed, and leave it.

    Raises:
        Exception: as above.
    """
    if is_from_signal_handler(error):
        try:
            raise error
        finally:
            del error  # its traceback has this frame: as a cycle it would keep the application's frames alive, and what they hold
    leave_unusable()
    tracer = _tracer_of(transaction)
    if tracer is None:
        transaction.is_handed_over = True  # no agent runs any more
    else:
        transaction.tracer = tracer


def lose(span: Span | None, error: Exception) -> None:
    """
    Count a span that could not begin or end; None: the one that is current.

    Raises:
        Exception: as above.
    """
    if is_from_signal_handler(error):
        try:
            raise error
        finally:
            del error  # its traceback has this frame: as a cycle it would keep the application's frames alive, and what they hold
    leave_unusable()
    tracer = _tracer_of(getattr(span, "transaction", None))
    if tracer is not None:
        tracer.invalid_values += 1


def count_invalid() -> None:
    """Count a value that cannot be used. The application's thread is never interrupted."""
    tracer = context.tracer
    if tracer is not None:
        tracer.invalid_values += 1


def note_misuse(problem: str, advice: str) -> None:
    """Count a call that has no effect as an invalid value; the agent's thread logs each problem once, with what to do instead."""
    count_invalid()
    note_advice(problem, advice)


def note_advice(problem: str, advice: str) -> None:
    """Note a call that has no effect, and what to do instead; it has been counted."""
    tracer = context.tracer
    if tracer is not None and len(tracer.misused) < _MOST_NOTED:
        tracer.misused.setdefault(f"{problem}; {advice}", False)


def leave_unusable() -> None:
    """Leave what is current if nothing can be in it, because its transaction has ended or cannot be used."""
    if collecting and is_collecting_here():
        return
    inside = getattr(context.current.get(), "transaction", None)
    if getattr(inside, "is_finished", True) and inside is not getattr(context.tracer, "silent", None):
        context.current.set(None)


def _tracer_of(transaction: object) -> Tracer | None:
    tracer: object = getattr(transaction, "tracer", None)
    return tracer if hasattr(tracer, "invalid_values") else context.tracer  # type: ignore[return-value]  # only tracers have them
