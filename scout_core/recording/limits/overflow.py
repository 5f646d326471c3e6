"""
Finished transactions for which the inbox has no room: figures are all that is kept of them.

Hot code while the application is faster than the agent's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.recording.ended import release
from scout_core.recording.limits.bounding import bound_transaction

if TYPE_CHECKING:
    from scout_core.measuring.figures import Brief
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

MOST_BRIEFS: Final = 50_000
"""In ``overflow``: 10 MB, or 40 where a plugin may ignore them; more than a second at 30,000 a second."""
_MOST_BESIDE_A_BRIEF: Final = 3_000
"""Bytes of a transaction that waits in ``overflow`` with its tags and its request."""


def hand_over_beyond(tracer: Tracer, transaction: Transaction) -> None:
    """Hand over what figures need of a transaction: its spans are most of its memory."""
    if tracer.is_retired:
        transaction.is_handed_over = True
        tracer.after_stop += 1
    elif len(tracer.overflow) < MOST_BRIEFS:
        brief = brief_of(transaction)
        if tracer.may_ignore:
            transaction.raised = transaction.merged = None
            transaction.spans = []
            if bound_transaction(transaction, tracer) > _MOST_BESIDE_A_BRIEF:
                transaction.own_tags = {}
                transaction.own_request = None
        else:
            brief = *brief[:-1], None
        transaction.is_handed_over = True
        tracer.overflow.append(brief)
    else:
        transaction.is_handed_over = True
        tracer.refused += 1
    release(transaction)


def brief_of(transaction: Transaction) -> Brief:
    """Return what figures need of a transaction, and itself."""
    return transaction.own_operation, transaction.start_ns, transaction.stop_ns, transaction.is_error, transaction
