"""Record a share of all transactions: the options ``sample_rate``, its variants for endpoints and jobs, and rates by name.

The first rate that is set counts: of the longest matching prefix in ``sample_endpoints`` or ``sample_jobs``, then
``endpoint_sample_rate`` or ``job_sample_rate``, then ``sample_rate``.
"""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from scout_core import Transaction, hookimpl, when_changed
from scout_core.operations import name_of

if TYPE_CHECKING:
    from scout_core import Config


@hookimpl
@when_changed("sample_rate", "endpoint_sample_rate", "job_sample_rate", "sample_endpoints", "sample_jobs")
def on_request_start(transaction: Transaction, config: Config) -> None:
    """Decide before anything is recorded, which is cheapest."""
    share = rate_of(transaction, config)
    if share < 1.0 and random() >= share:  # noqa: S311  # chance, not a secret
        transaction.ignore("sampled")


def rate_of(transaction: Transaction, config: Config) -> float:
    """The share, 0 to 1, of transactions with the name it has now."""
    is_web = transaction.is_web
    by_name = config.get("sample_endpoints" if is_web else "sample_jobs")
    if by_name:
        name = name_of(transaction.operation)
        matching = [prefix for prefix in by_name if name.startswith(prefix)]
        if matching:
            return float(by_name[max(matching, key=len)])
    own = config.get("endpoint_sample_rate" if is_web else "job_sample_rate")
    return float(config.get("sample_rate") if own is None else own)
