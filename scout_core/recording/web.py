"""The raw facts of a web request, as its framework has them; ``sending/request_facts.py`` processes them on the agent's thread.

Sources: scout_apm_python ``core/web_requests.py`` and ``core/queue_time.py`` for which headers count, and in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class WebRequest(NamedTuple):
    """A request as it came. Only strings, so that no object of the framework is kept alive."""

    path: str
    """With the prefix that the application is mounted at."""
    query: str
    """As received; from a WSGI environ its characters are bytes (PEP 3333), which the agent's thread decodes."""
    forwarded_for: str | None
    client_ip: str | None
    remote_address: str | None
    queue_start: str | None
    """The header ``X-Queue-Start``; several are separated by commas."""
    request_start: str | None = None
    """The header ``X-Request-Start``, which counts when the other one is missing or unreadable."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, Any]) -> WebRequest:
        """Take it from a WSGI environ."""
        get = environ.get
        path = get("SCRIPT_NAME", "") + get("PATH_INFO", "")
        if not path.isascii():  # PEP 3333: its characters are bytes
            path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        addresses = get("HTTP_X_FORWARDED_FOR"), get("HTTP_CLIENT_IP"), get("REMOTE_ADDR")
        times = get("HTTP_X_QUEUE_START"), get("HTTP_X_REQUEST_START")
        # Called for every request: `cls(…)` goes through a function written in Python.
        return tuple.__new__(cls, (path, get("QUERY_STRING", ""), *addresses, *times))
