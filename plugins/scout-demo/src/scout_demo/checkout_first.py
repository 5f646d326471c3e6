"""Keep traces of checkouts first."""
from scout_core import hookimpl


@hookimpl
def score_transaction(transaction):
    return 5.0 if transaction.operation.endswith(".checkout") else 0.0
