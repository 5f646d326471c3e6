"""
Transactions that nobody can end any more.

A signal handler may raise at any instruction: after ``__enter__`` has made a transaction current and before the ``with``
statement knows, or when ``__exit__`` is called and before its first line. Our code cannot detect that, and the thread would stay in
the transaction forever: later ones would become spans of it. But then nobody holds the transaction besides ourselves. A ``with``
statement, an ``ExitStack`` or any code that calls ``__exit__`` later has a reference to it. So when a transaction begins
inside another one, the references to the other are counted.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from scout_core.clocks import perf_counter_ns
from scout_core.recording.context import around, current, has_ended
from scout_core.recording.safety.never_ended import let_go
from scout_core.recording.safety.silence import leave_forgotten

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

_get = current.get


def is_abandoned(transaction: Transaction, held: int) -> bool:
    """
    Whether nobody can end an open transaction that is current.

    Args:
        held: references that the caller's own variables hold.

    Returns:
        False when in doubt, as when another context or a traceback still refers to it, or where a debugger or profiler is active.
    """
    if not transaction.start_ns:
        leave_forgotten(held)
        return False
    if sys.gettrace() is not None or sys.getprofile() is not None:  # it may keep the variables of every frame alive
        return False
    # The spans first: what other threads do to them meanwhile only adds references.
    held += _held_by_spans(transaction)
    if _get() is transaction:
        held += 1
    return _count(transaction, held) <= _held_by_us()


def give_up(transaction: Transaction) -> None:
    """Close a transaction that nobody can end, and count it; when it ended is unknown."""
    has_ended, transaction.is_finished = transaction.is_finished, True
    transaction.is_closed = True
    if has_ended:
        return
    transaction.tracer.interrupted += 1
    let_go(transaction)
    if transaction.spans:
        transaction.spans = []


def count_unended(innermost: Span, transaction: Transaction) -> None:
    """Count the spans that are open in this context when their transaction ends: nothing can record them any more."""
    span: Span | None = innermost
    while span is not None and span is not transaction:
        if not has_ended(span) and span.transaction is transaction:
            stop_ns = perf_counter_ns()
            ended, span.stop_ns = span.stop_ns, stop_ns  # its own end, should it come, is not counted again
            if ended > 0:
                span.stop_ns = ended
            else:
                let_go(span)
                transaction.tracer.count_late(transaction)
        span = around(span)


def calibrate() -> None:
    """Count the references of ours now: while something else keeps every span, as a test does, the count would be wrong forever."""
    _held_by_us()


def _count(transaction: Transaction, held: int) -> int:
    return sys.getrefcount(transaction) - held


def _held_by_spans(transaction: Transaction) -> int:
    spans = transaction.spans
    known, held = transaction.held_by if hasattr(transaction, "held_by") else (0, 0)
    count = len(spans)
    for number in range(known, count):
        held += _references(spans[number], transaction)
    transaction.held_by = (count, held)
    span = _get()
    while span is not None and span is not transaction:
        if not has_ended(span) or not any(listed is span for listed in spans):  # one that is in the list was counted
            held += _references(span, transaction)
        span = around(span)
    return held


def _references(span: Span, transaction: Transaction) -> int:
    return (span.transaction is transaction) + (around(span) is transaction)


@cache
def _held_by_us() -> int:
    """Count what refers to a transaction that nobody else holds: itself, and the calls that count."""
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

    def orphan() -> Span:
        transaction = Transaction("Job/abandoned")
        transaction.transaction = transaction
        child = Span("Job/child")
        child.transaction = transaction
        return child

    def count_as_above(transaction: Transaction, held: int) -> int:
        held += 0
        return _count(transaction, held)

    child = orphan()
    return count_as_above(child.transaction, 1)  # type: ignore[arg-type]  # orphan() set it
