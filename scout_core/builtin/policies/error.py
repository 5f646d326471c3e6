"""Transactions with errors before others of the same name: 2.5 points if they failed, half of that if the errors were handled.

2.5 is what ``age`` and ``percent`` can give at most, and outweighs the whole range of ``percentile`` and the speed of minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import hookimpl, when_errors

if TYPE_CHECKING:
    from scout_core import Transaction


@hookimpl
@when_errors
def score_transaction(transaction: Transaction) -> float:
    """More for a transaction that failed than for one with handled errors; not called for any other."""
    return 2.5 if transaction.is_error else 1.25
