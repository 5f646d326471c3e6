"""The remains of a transaction that the agent's thread is done with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core.clocks import perf_counter_ns
from scout_core.recording.safety.never_ended import let_go
from scout_core.recording.transaction import Transaction

if TYPE_CHECKING:
    from scout_core.recording.tracer import Tracer


def placeholder(tracer: Tracer, ignored: str | None = None) -> Transaction:
    """
    Return the closed transaction that replaces every one that the agent's thread is done with.

    A context may outlive its transaction (a task that continues, a generator that is never closed). It must find something closed
    there that does not keep the spans of a finished request alive.
    """
    ended = closed_to_all(tracer)
    ended.is_finished = True
    ended.start_ns = 1  # no hook runs in it
    ended.ignored = ignored
    return ended


def closed_to_all(tracer: Tracer) -> Transaction:
    """Return the closed transaction that is current while hooks run: neither spans nor transactions begin in it."""
    closed = Transaction("Ended/transaction")
    closed.tracer = tracer
    closed.transaction = closed
    closed.is_closed = True
    return closed


def cut_off(transaction: Transaction) -> bool:
    """Close a transaction that is not to be handed over any more, whatever ends it later; False: it has ended before."""
    has_ended, transaction.is_finished = transaction.is_finished, True
    if has_ended:
        return False
    transaction.is_closed = transaction.is_handed_over = True
    transaction.stop_ns = perf_counter_ns()
    let_go(transaction)
    release(transaction)
    return True


def release(transaction: Transaction) -> None:
    """Break all reference cycles, so that memory is freed at once."""
    tracer = transaction.tracer
    closed = tracer.finished_placeholder if transaction.ignored is None else tracer.ignored_placeholder
    transaction.transaction = closed
    spans = transaction.spans
    if spans:
        transaction.spans = []
        if type(spans) is list:  # a hook can have replaced it by something endless
            # A span may still be current in another context, which it leads back to what is around its transaction.
            outer = transaction if transaction.own_before is not None else None
            for span in spans:
                span.transaction = closed
                span.own_parent = outer
