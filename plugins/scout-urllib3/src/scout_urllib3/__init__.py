"""HTTP calls through urllib3 as spans: ``HTTP/GET``, tagged with ``url`` and the answer's ``status``."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, span

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.response import BaseHTTPResponse

    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time the one method that every call goes through, with or without TLS, a proxy or ``requests``."""
    wrap("urllib3.connectionpool:HTTPConnectionPool.urlopen", urlopen)


# urllib3 repeats a call, after an error or a redirect within one pool, by calling urlopen from inside urlopen. So the
# outermost span is the call as the application sees it, and each further attempt is a span within the one before it.
def urlopen(
    pool: HTTPConnectionPool, /, method: str, url: str, *args: object, **kwargs: object
) -> Generator[Span, BaseHTTPResponse, None]:
    """One call; ``status`` is that of the answer the application gets, and absent when none came."""
    call = span(f"HTTP/{method.upper()}", url=full_url(pool, url))
    response = yield call
    call.tag("status", response.status)


def full_url(pool: HTTPConnectionPool, url: str) -> str:
    """
    Scheme, host, port and path of a call, without user, password and query.

    Args:
        url: the path; the whole URL where an HTTP proxy is asked, and then the pool is the proxy's.
    """
    path = url.partition("?")[0].partition("#")[0]
    scheme, separator, rest = path.partition("://")
    if separator and not path.startswith("/"):
        authority, slash, path = rest.partition("/")
        return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    return f"{pool.scheme}://{host}:{pool.port}{path}" if pool.port else f"{pool.scheme}://{host}{path}"
