"""Keep the traces of paying customers first."""

from scout_core import hookimpl


@hookimpl
def score_transaction(transaction):
    return 5.0 if transaction.tags.get("plan") == "enterprise" else 0.0
