"""
The pauses of spans whose work is done in steps, which are the time of their consumer, and not their own.

They are noted in the transaction when they are over, so that only those who pause pay for them. The figures of kinds leave them out.
"""

from __future__ import annotations

from typing import Any

from scout_core.recording.context import has_ended
from scout_core.recording.span import Span


def note_pause_within(outer: Any, inside: Span | None, nanoseconds: int) -> None:  # Any: a span, or a GuardedSpan
    """
    Add a pause to the spans that were open within another one meanwhile, as around a ``yield``.

    Args:
        outer: the span whose steps have paused; its own pauses are noted at its end.
        inside: the innermost of those spans.
    """
    found = span_of(outer)
    within = []
    span = inside
    while span is not None and span is not found:
        within.append(span)
        span = span.own_parent
    if span is not None:
        for span in within:
            note_pause(span, nanoseconds)


def note_pause(span: Any, nanoseconds: int) -> None:  # Any: as above
    """Add a pause to a span that is open. A transaction lasts until its response has been sent, so its own do not count."""
    found = span_of(span)
    transaction = found.transaction
    if transaction is None or found is transaction or transaction.is_closed or has_ended(found) or nanoseconds <= 0:
        return
    if not hasattr(transaction, "own_pauses"):
        transaction.own_pauses = {}
    before = transaction.own_pauses.get(id(found), (found, 0))[1]
    transaction.own_pauses[id(found)] = (found, before + nanoseconds)


def span_of(timed: Any) -> Any:  # Any: as above
    """Return the span itself, also of a plugin's own class."""
    return timed if issubclass(type(timed), Span) else timed.span
