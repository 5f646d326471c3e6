"""Prefer traces of checkouts."""

from scout_core import Transaction, hookimpl


@hookimpl
def score_transaction(transaction: Transaction) -> float:
    return 5.0 if transaction.operation.endswith(".checkout") else 0.0
