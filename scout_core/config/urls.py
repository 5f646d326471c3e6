"""Addresses of HTTP servers."""

from __future__ import annotations


class Hint(ValueError):
    """A refused value, with another condition that it must meet: ``without a password``."""


def url_of(text: str) -> str:
    """Return the URL of an HTTP server, or empty text; raises ValueError where reports could not be sent to it."""
    if not text:
        return text
    from urllib.parse import urlsplit  # only where a URL is given, and used

    parts = urlsplit(text)
    host = parts.hostname or ""
    is_host = all(0 < len(label) < 64 for label in host.rstrip(".").split("."))
    if parts.scheme not in ("http", "https") or not is_host or parts.port == 0 or "\\" in text:
        raise ValueError
    if any(char.isspace() or not char.isprintable() for char in text) or not parts.path.isascii():
        raise ValueError
    if any(char in text for char in "@?#"):  # none of it would be sent
        raise Hint("without user, password, query and fragment")
    return text
