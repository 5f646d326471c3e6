"""Groups of their own for failed transactions, with reserved places, so that neither they nor slow ones take all places."""

from __future__ import annotations

from scout_core import Transaction, hookimpl, when_failed


@hookimpl(trylast=True)
@when_failed
def trace_group(transaction: Transaction) -> str:
    """Have the failed transactions of a name compete with each other, unless another plugin has chosen their group."""
    return f"errors of {transaction.operation}"
