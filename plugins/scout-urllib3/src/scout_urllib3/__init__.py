"""
HTTP calls through urllib3 as spans: ``HTTP/GET``, tagged with ``url`` and the response's ``status``.

The server gets the headers of the trace.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, span, trace_headers

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
    wrap("urllib3.connection:HTTPConnection.request", send, headers="headers")
    wrap("urllib3.connection:HTTPConnection.request_chunked", send, headers="headers")


# To retry after an error, or to follow a redirect within a pool, urllib3 calls urlopen from inside urlopen. So the outermost
# span is the call as the application sees it, and each retry is a span inside the previous one.
def urlopen(
    pool: HTTPConnectionPool, /, method: str, url: str, *args: object, **kwargs: object
) -> Generator[Span, BaseHTTPResponse, None]:
    """Describe one call; ``status`` is that of the response that the application gets, absent without a response."""
    call = span(f"HTTP/{method.upper()}", url=full_url(pool, url))
    response = yield call
    call.tag("status", response.status)


def send(connection: HTTPConnection, method: str, url: str, *args: object, **kwargs: object) -> dict[str, str]:
    """Return the headers of the trace for one attempt, which is part of the span of its call."""
    if not url.startswith(("/", "*")):  # through a proxy: the whole URL
        return trace_headers(url)
    tunnelled = connection._tunnel_host  # of http.client: the server, where `host` is a proxy
    host, port = (tunnelled, connection._tunnel_port) if tunnelled else (connection.host, connection.port)
    return trace_headers(f"//[{host}]:{port}{url}" if ":" in host else f"//{host}:{port}{url}")


def full_url(pool: HTTPConnectionPool, url: str) -> str:
    """
    Return scheme, host, port and path of a call, without user, password and query.

    Args:
        url: the path; the whole URL for a call through an HTTP proxy, whose pool this then is.
    """
    path = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = path.partition("://")
    if separator and not path.startswith("/"):
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    return f"{pool.scheme}://{host}:{pool.port}{path}" if pool.port else f"{pool.scheme}://{host}{path}"
