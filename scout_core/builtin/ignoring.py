"""Leave out what the options ``ignore``, ``ignore_endpoints`` and ``ignore_jobs`` name: by path at once, by name at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import Transaction, hookimpl, when_changed
from scout_core.operations import name_of

if TYPE_CHECKING:
    from scout_core import Config


@hookimpl
@when_changed("ignore")
def on_request_start(transaction: Transaction, config: Config) -> None:
    """Ignore by path before anything is recorded."""
    path = transaction.path
    if path is not None and path.lstrip("/ ").startswith(config.get("ignore")):
        transaction.ignore("by path")


@hookimpl
@when_changed("ignore", "ignore_endpoints", "ignore_jobs")
def ignore_transaction(transaction: Transaction, config: Config) -> bool:
    """Ignore by name once it is final, and by path when the framework set it late."""
    if (
        transaction.path is not None
        and config.get("ignore")
        and transaction.path.lstrip("/ ").startswith(config.get("ignore"))
    ):
        return True
    name = name_of(transaction.operation)
    prefixes = config.get("ignore_endpoints" if transaction.is_web else "ignore_jobs")
    return bool(prefixes) and name.lstrip("/ ").startswith(prefixes)
