"""Facts computed from a request on the agent's thread: its queue time at once, its tags when they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scout_core.text.address import first_address
from scout_core.text.params import filtered_path
from scout_core.text.queue_time import OLDEST, seconds_in_queue

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.recording.transaction import Transaction
    from scout_core.recording.web import WebRequest


class RequestFacts:
    """
    Completes transactions, with the options as they are when this is made.

    The tags ``path`` and ``user_ip`` are missing until they are read: masking a path costs more than all else that this
    thread does for a transaction, and of most of them neither a trace is kept nor does a plugin read a tag.

    Args:
        report_failure: called, in an ``except``, when the application has set something that cannot be read.
    """

    def __init__(self, config: Config, report_failure: Callable[[], object]) -> None:
        self._with_query: Final = config.get("uri_reporting") == "filtered_params"
        self._with_address: Final = bool(config.get("collect_remote_ip"))
        self._report_failure = report_failure
        self._add_tags_later: Final = self._add_tags

    def complete(self, transaction: Transaction) -> bool:
        """
        Set the queue time, and make the transaction's tags complete when they are read.

        Returns:
            Whether the queue time cannot be right, and is left out: negative, or more than ten years.
        """
        request = transaction.request
        if request is not None:
            transaction.add_request_tags = self._add_tags_later
            for header in (request.queue_start, request.request_start):
                if header and transaction.queue_time is None:
                    transaction.queue_time = seconds_in_queue(header, transaction.started)
        if transaction.queued_at is not None:
            waited = transaction.started - transaction.queued_at
            if not 0.0 <= waited < OLDEST:  # the clock of another machine, or another unit
                return True
            transaction.queue_time = waited
        return False

    def add_tags_to(self, transaction: Transaction) -> None:
        """Make the transaction's tags complete when they are read."""
        if transaction.request is not None:
            transaction.add_request_tags = self._add_tags_later

    def _add_tags(self, transaction: Transaction) -> None:
        """Add the tags, or none; called by whatever reads them, so nothing is raised."""
        request = transaction.request
        if request is None:
            return
        try:
            path = filtered_path(request.path, request.query, with_query=self._with_query)
            address = _client_address(request) if self._with_address else None
        except Exception:  # noqa: BLE001  # a framework's plugin may have put anything into the request
            self._report_failure()
            return
        tags = {"path": path} if address is None else {"path": path, "user_ip": address}
        transaction.own_tags.update(tags)


def _client_address(request: WebRequest) -> str | None:
    """Return the address of the client as the outermost proxy reports it; anybody can make one up."""
    for addresses in (request.forwarded_for, request.client_ip, request.remote_address):
        address = first_address(addresses) if addresses else None
        if address is not None:
            return address
    return None
