"""
HTTP calls through HTTPX as spans: ``HTTP/GET``, tagged with ``url`` and the response's ``status``.

The server gets the headers of the trace.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, trace_headers
from scout_core.instruments.http import http_span, target_url

if TYPE_CHECKING:
    from httpcore import URL, Request
    from httpx import AsyncClient, Client, Response
    from httpx import Request as ClientRequest

    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time the method that each request and each redirect of a client goes through, whatever its transport is."""
    wrap("httpx._client:Client._send_single_request", send)
    wrap("httpx._client:AsyncClient._send_single_request", send)
    # HTTPX sends the headers of the application's own request, which must not change. So they are added one layer below.
    wrap("httpcore._models:Request.__init__", network_request, headers="headers", default_headers={})


def send(client: Client | AsyncClient, request: ClientRequest) -> Generator[Span, Response, None]:
    """Describe one request, until its response has been read or closed."""
    call = http_span(request.method, str(request.url))
    response = yield call
    call.tag("status", response.status_code)
    if not response.is_closed:  # a transport for tests may have read it
        response.stream = call.stream(response.stream)


def network_request(
    request: Request, method: bytes | str, url: URL | bytes | str, *args: object, **kwargs: object
) -> dict[str, str] | None:
    """Return the headers of the trace for one request, which is part of the span of its call; None for one to a proxy itself."""
    if method in (b"CONNECT", "CONNECT"):
        return None
    if isinstance(url, (bytes, str)):  # an application that uses httpcore without HTTPX
        return trace_headers(url if isinstance(url, str) else url.decode("latin-1"))
    # Through an HTTP proxy, the host is that of the proxy, and the target the whole URL.
    return trace_headers(target_url("", url.host.decode("latin-1"), url.port, url.target.decode("latin-1")))
