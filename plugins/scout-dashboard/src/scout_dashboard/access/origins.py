"""Facts about the browser that sent a request: its session cookies, and whether one of our pages sent it."""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection

from scout_dashboard.access.sessions import COOKIE

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
"""They change nothing, so any page may send them."""


def session_cookies(request: HTTPConnection) -> list[str]:
    """Return the values of all cookies with the session's name; programs on other ports may have set further ones."""
    pairs = [part.partition("=") for header in request.headers.getlist("cookie") for part in header.split(";")]
    return [value.strip() for name, _, value in pairs if name.strip() == COOKIE]


def is_from_our_page(request: HTTPConnection) -> bool:
    """
    Return whether a page of this collector sent a request that changes something.

    Browsers send ``Sec-Fetch-Site``, ``Origin``, or both, with each POST; what another page sends has another value.
    """
    site, origins = request.headers.get("sec-fetch-site"), request.headers.getlist("origin")
    if site is None and not origins:
        return False
    is_same_origin = all(origin == f"http://{request.headers.get('host', '').lower()}" for origin in origins)
    return site in (None, "same-origin") and is_same_origin
