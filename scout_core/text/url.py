"""URLs that may be shown: without query, fragment, user, and secrets in the path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from scout_core.text.keys import FILTERED, is_sensitive
from scout_core.text.listed import forgets_with_names, is_listed
from scout_core.text.patterns import pattern
from scout_core.text.plain import cut, plain
from scout_core.text.secrets import scrub, scrub_word

UNREADABLE: Final = "<url that could not be read>"
LONGEST: Final = 2_000
"""Characters of a URL that is shown."""

_LONGEST_READ: Final = 16_384

# RFC 3986, appendix B: the query begins at the first "?", the fragment at the first "#".
_BEFORE_QUERY: Final = pattern(r"[^?#]*")
_URL: Final = pattern(
    r"""
    (?P<scheme> (?:[A-Za-z][A-Za-z0-9+.-]*:)? // )              # RFC 3986, 3.1
    (?P<user> [^/\\\s]* @ )?
    (?P<host> (?:
          \[ [0-9A-Fa-f:.]+ (?: % [\w.~%-]{1,32} )? \]           # IPv6, perhaps with a zone (RFC 6874)
        | (?:[\w.-] | %2[Ff])+                                  # a name; the path of a Unix socket, as requests-unixsocket writes it
      )
      (?: : [0-9]{1,5} )?
    )
    (?P<path> / [^\\\x00-\x1f]* )?
    """,
    re.VERBOSE,
)
# `user:password@` in a path, where a password contained a raw slash.
_USER_IN_SEGMENT: Final = pattern(r"[^@:]*:[^@]*@")


def public_url(url: str) -> str:
    """
    Return scheme, host, port and path: ``https://shop.example:8443/orders/17``.

    Args:
        url: with or without a scheme, or only a path.

    Returns:
        At most 2,000 characters. ``[FILTERED]`` replaces parts of the path that look like secrets. A URL that can be read in two
        ways, such as one whose password contains a raw ``@`` or ``/``, becomes ``<url that could not be read>``.
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
    if parts["user"] and "@" in path:  # the first "@" may be part of the password
        return UNREADABLE
    return cut(parts["scheme"] + parts["host"] + clean_path(path), LONGEST)


_cached: Final = lru_cache(maxsize=512)(_public_url)
forgets_with_names(_cached.cache_clear)


def clean_path(path: str) -> str:
    """Return the path of a URL, percent-encoded or not, with ``[FILTERED]`` for each part that looks like a secret."""
    if "=" not in path:  # otherwise scrub() takes the rest of the path for the value
        path = scrub(path)
    segments = path.split("/")
    return "/".join(
        ";".join(_clean_part(part, before) for part in segment.split(";"))
        for before, segment in zip(["", *segments], segments, strict=False)
    )


def _clean_part(part: str, before: str) -> str:
    """Return one part of the path; ``before`` is the previous segment: ``token`` in ``/token/4f2a91``."""
    text = unquote(part)
    if _USER_IN_SEGMENT.match(text):
        return FILTERED
    name = unquote(before)
    if is_listed(name) or (len(text) >= 6 and any(map(str.isdigit, text)) and is_sensitive(name)):
        return FILTERED if text else part
    scrubbed = scrub_word(text)
    return part if scrubbed == text else quote(scrubbed, safe="[]=:,@ ")
