"""
HTTP calls through urllib3 as spans: ``HTTP/GET``, tagged with ``url`` and the response's ``status``.

The server gets the headers of the trace.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, trace_headers
from scout_core.instruments.http import count_attempt, http_span, last_until, target_url

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time the method that every call goes through, with or without TLS, a proxy or ``requests``."""
    wrap("urllib3.connectionpool:HTTPConnectionPool.urlopen", urlopen)
    # Each attempt comes here once, with the headers as they are sent. urlopen passes those of the first attempt to itself.
    wrap("urllib3.connection:HTTPConnection.request", send, headers="headers", default_headers={})
    wrap("urllib3.connection:HTTPConnection.request_chunked", send, headers="headers", default_headers={})


def urlopen(
    pool: HTTPConnectionPool, /, method: str, url: str, *args: object, **kwargs: object
) -> Generator[Span, BaseHTTPResponse, None]:
    """Describe one call; ``status`` is that of the response that the application gets, absent without a response."""
    # Through an HTTP proxy, the pool is that of the proxy, and `url` the whole URL.
    call = http_span(method, target_url(pool.scheme or "", pool.host, pool.port, url))
    try:
        response = yield call
    finally:
        # To retry, or to follow a redirect within a pool, urllib3 calls urlopen from inside urlopen, and only then passes `body_pos`.
        # The outer span is the call as the application sees it, and covers the inner ones.
        if "body_pos" in kwargs:
            count_attempt(call)
    call.tag("status", response.status)
    if kwargs.get("preload_content") is False:
        last_until(
            call, response, "release_conn", "close"
        )  # the connection is released when all is read, or reading fails


def send(connection: HTTPConnection, method: str, url: str, *args: object, **kwargs: object) -> dict[str, str]:
    """Return the headers of the trace for one attempt, which is part of the span of its call."""
    tunnelled = connection._tunnel_host  # of http.client: the server, where `host` is a proxy
    host, port = (tunnelled, connection._tunnel_port) if tunnelled else (connection.host, connection.port)
    return trace_headers(target_url("", host, port, url))
