"""Record a share of all transactions: the options ``sample_rate``, its variants for endpoints and jobs, and rates by name.

The first rate that is set counts: of the longest matching prefix in ``sample_endpoints`` or ``sample_jobs``, then
``endpoint_sample_rate`` or ``job_sample_rate``, then ``sample_rate``.

A name may become known late, as frameworks route after the request began. So one number is drawn for each transaction: when it
starts, the number is compared with the highest rate that any name can have, and when its name is final with the rate of that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core import Transaction, hookimpl, when_changed
from scout_core.operations import name_of

if TYPE_CHECKING:
    from scout_core import Config

_BY_NAME: Final = ("endpoint_sample_rate", "job_sample_rate", "sample_endpoints", "sample_jobs")
"""The options with which the rate depends on the name or its kind."""
_REASON: Final = "sampled"


@hookimpl
@when_changed("sample_rate", *_BY_NAME)
def on_request_start(transaction: Transaction, config: Config) -> None:
    """Decide before anything is recorded, which is cheapest, where no later name can change the decision."""
    is_web = transaction.is_web
    chance = chance_of(transaction)
    if chance >= _rate_of_kind(config, is_web=is_web):
        by_name = config.get("sample_endpoints" if is_web else "sample_jobs")
        if not by_name or chance >= max(by_name.values()):
            transaction.ignore(_REASON)


@hookimpl
@when_changed(*_BY_NAME)
def ignore_transaction(transaction: Transaction, config: Config) -> str | None:
    """Decide by the final name on those that were recorded."""
    return _REASON if chance_of(transaction) >= rate_of(transaction, config) else None


def chance_of(transaction: Transaction) -> float:
    """Return the number, from 0 to just below 1, that stays the same for this transaction: its id is random."""
    return (transaction.id >> 11) * 2.0**-53  # a float has 53 bits; with all 64 it could be rounded to 1


def rate_of(transaction: Transaction, config: Config) -> float:
    """Return the share, 0 to 1, of transactions with the name that it has now."""
    is_web = transaction.is_web
    by_name = config.get("sample_endpoints" if is_web else "sample_jobs")
    if by_name:
        name = name_of(transaction.operation)
        matching = [prefix for prefix in by_name if name.startswith(prefix)]
        if matching:
            return float(by_name[max(matching, key=len)])
    return _rate_of_kind(config, is_web=is_web)


def _rate_of_kind(config: Config, *, is_web: bool) -> float:
    own = config.get("endpoint_sample_rate" if is_web else "job_sample_rate")
    return config.get("sample_rate") if own is None else own  # type: ignore[no-any-return]  # a float
