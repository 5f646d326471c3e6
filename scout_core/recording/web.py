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
        path = get("SCRIPT_NAME", "") + get("PATH_INFO", "")
        if not path.isascii():  # PEP 3333: its characters are bytes
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        queue_start = get("HTTP_X_QUEUE_START") or get("HTTP_X_REQUEST_START")
        told = get("HTTP_X_FORWARDED_FOR"), get("HTTP_CLIENT_IP"), get("REMOTE_ADDR")
        # Once for each request: `cls(…)` goes through a function written in Python.
        return tuple.__new__(cls, (path, get("QUERY_STRING", ""), *told, queue_start))


def complete(transaction: Transaction, config: Config) -> None:
    """Work out the tags ``path`` and ``user_ip`` and the queue time. On the agent's thread, once the transaction has ended."""
    from scout_core.text.params import filtered_path
    from scout_core.text.queue_time import OLDEST, seconds_in_queue

    request = transaction.request
    if request is not None:
        with_query = config.get("uri_reporting") == "filtered_params"
        transaction.tags["path"] = filtered_path(request.path, request.query, with_query=with_query)
        address = _first_address(request) if config.get("collect_remote_ip") else None
        if address is not None:
            transaction.tags["user_ip"] = address
        if request.queue_start:
            transaction.queue_time = seconds_in_queue(request.queue_start, transaction.started)
    if transaction.queued_at is not None:
        waited = transaction.started - transaction.queued_at
        if waited < OLDEST:
            transaction.queue_time = max(0.0, waited)


def _first_address(request: WebRequest) -> str | None:
    """Of the client, as the outermost proxy tells it; anybody can make one up."""
    told = (request.forwarded_for, request.client_ip, request.remote_address)
    return next(filter(None, (text.partition(",")[0].strip() for text in told if text)), None)
