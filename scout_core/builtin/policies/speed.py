"""Slow transactions first: ``ln(1 + seconds) / 4``, so 1 s is worth 0.17, 10 s 0.60 and a minute 1.03."""

from __future__ import annotations

from math import log1p

from scout_core import Transaction, hookimpl


@hookimpl
def score_transaction(transaction: Transaction) -> float:
    """More for a longer duration."""
    return log1p(transaction.duration) * 0.25
