"""URLs as they may be shown: where a call went, without query, fragment, user and secrets in the path."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from scout_core.text.keys import FILTERED, is_sensitive
from scout_core.text.patterns import pattern
from scout_core.text.plain import cut, plain
from scout_core.text.secrets import scrub, scrub_word

UNREADABLE: Final = "<url that could not be read>"
LONGEST: Final = 2_000
"""Characters of a URL that is shown."""

_LONGEST_READ: Final = 16_384

_BEFORE_QUERY: Final = pattern(r"[^?#]*")
_URL: Final = pattern(
    r"(?P<scheme>(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)"
    r"(?P<user>[^/\\\s]*@)?"
    r"(?P<host>(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.-]|%2[Ff])+)(?::[0-9]{1,5})?)"
    r"(?P<path>/[^\\\x00-\x1f]*)?"
)
_USER_IN_SEGMENT: Final = pattern(r"[^@]*:[^@]*@")


def public_url(url: str) -> str:
    """
    ``https://shop.example:8443/orders/17``: scheme, host, port and path.

    Args:
        url: with or without a scheme; a path alone is also taken.

    Returns:
        At most 2,000 characters. Parts of the path that look like secrets are ``[FILTERED]``. What cannot be taken apart for
        certain, such as a password with a raw ``@`` or ``/``, is ``<url that could not be read>``.
    """
    text = plain(url)
    return _cached(text) if len(text) <= LONGEST else _public_url(text)


def _public_url(url: str) -> str:
    if len(url) > _LONGEST_READ:
        return UNREADABLE
    place = _BEFORE_QUERY.match(url.strip())
    text = place.group() if place else ""
    if text.startswith("/") and not text.startswith("//"):
        return cut(clean_path(text), LONGEST)
    parts = _URL.fullmatch(text)
    if parts is None:
        return UNREADABLE
    path = parts["path"] or ""
    if parts["user"] and "@" in path:  # then the first one may have been part of the password
        return UNREADABLE
    return cut(parts["scheme"] + parts["host"] + clean_path(path), LONGEST)


_cached: Final = lru_cache(maxsize=512)(_public_url)


def clean_path(path: str) -> str:
    """The path of a URL, percent-encoded or not, with ``[FILTERED]`` in place of each part that looks like a secret."""
    if "=" not in path:  # else a value would be taken to reach to the end of the path
        path = scrub(path)
    segments = path.split("/")
    return "/".join(
        ";".join(_clean_part(part, before) for part in segment.split(";"))
        for before, segment in zip(["", *segments], segments, strict=False)
    )


def _clean_part(part: str, before: str) -> str:
    """One part of the path; ``before`` is the segment before its own: ``token`` in ``/token/4f2a91``."""
    text = unquote(part)
    if _USER_IN_SEGMENT.match(text):
        return FILTERED
    if len(text) >= 6 and any(map(str.isdigit, text)) and is_sensitive(unquote(before)):
        return FILTERED
    scrubbed = scrub_word(text)
    return part if scrubbed == text else quote(scrubbed, safe="[]=:,@ ")
