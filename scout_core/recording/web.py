"""What every web framework tells of a request: raw on the application's thread, worked out on the agent's.

Sources: scout_apm_python ``core/web_requests.py`` and ``core/queue_time.py`` for which headers count, and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.recording.transaction import Transaction


class WebRequest(NamedTuple):
    """A request as it came. Texts only, so that nothing of it is held on to."""

    path: str
    """With the prefix that the application is mounted at."""
    query: str
    forwarded_for: str | None
    client_ip: str | None
    remote_address: str | None
    queue_start: str | None
    """``X-Queue-Start``, else ``X-Request-Start``."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, Any]) -> WebRequest:
        """Take it from a WSGI environ."""
        get = environ.get
        return cls(
            get("SCRIPT_NAME", "") + get("PATH_INFO", ""),
            get("QUERY_STRING", ""),
            get("HTTP_X_FORWARDED_FOR"),
            get("HTTP_CLIENT_IP"),
            get("REMOTE_ADDR"),
            get("HTTP_X_QUEUE_START") or get("HTTP_X_REQUEST_START"),
        )


def complete(transaction: Transaction, config: Config) -> None:
    """Work out the tags ``path`` and ``user_ip`` and the queue time. On the agent's thread, once the transaction has ended."""
    from scout_core.text.params import filtered_path
    from scout_core.text.queue_time import seconds_in_queue

    if transaction.queued_at is not None:
        transaction.queue_time = max(0.0, transaction.started - transaction.queued_at)
    request = transaction.request
    if request is None:
        return
    with_query = config.get("uri_reporting") == "filtered_params"
    transaction.tags["path"] = filtered_path(request.path, request.query, with_query=with_query)
    if config.get("collect_remote_ip"):
        address = request.forwarded_for or request.client_ip
        transaction.tags["user_ip"] = address.partition(",")[0].strip() if address else request.remote_address
    if request.queue_start:
        transaction.queue_time = seconds_in_queue(request.queue_start, transaction.started)
