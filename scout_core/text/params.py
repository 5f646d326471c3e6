"""The path of a request with its parameters: ``/login?next=%2F&password=[FILTERED]``."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

from scout_core.text.keys import FILTERED, OAUTH, is_sensitive
from scout_core.text.patterns import pattern
from scout_core.text.plain import CUT_MARK, beginning, cut, plain
from scout_core.text.secrets import scrub, scrub_word
from scout_core.text.url import clean_path

__all__ = ["filtered_path", "is_sensitive"]

LONGEST: Final = 2_000
"""Characters of a path with its parameters."""

_LONGEST_QUERY: Final = 8_192

# RFC 9112, 3.2.2: a request line may contain the server, and a user with a password: `GET http://user:password@host/path`.
_SERVER: Final = pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*|//[^/?#]*@[^/?#]*")


def filtered_path(path: str, query: str, *, with_query: bool = True) -> str:
    """
    Return the path of a request and its sorted parameters, without secrets.

    Args:
        path: percent-encoded or not. A server, a user and a fragment are removed.
        query: as received, without the question mark. Its bytes may be characters, as in WSGI.
        with_query: False returns only the path.

    Returns:
        At most 2,000 characters. ``[FILTERED]`` replaces the values of sensitive keys, and values that look like secrets.

    Source: scout_apm_python ``core/web_requests.py``.
    """
    text = beginning(plain(path), LONGEST)
    if "://" in text:
        text = scrub(text)
    text = _SERVER.sub("", text, count=1) if _SERVER.match(text) else text
    text = clean_path(re.split("[?#]", text, maxsplit=1)[0])
    if with_query and query:
        text += f"?{_filtered_query(plain(query))}"
    return cut(text, LONGEST)


def _filtered_query(query: str) -> str:
    # In a shortened query the last value may be half a secret, which would not be recognised.
    shown = query if len(query) <= _LONGEST_QUERY else query[:_LONGEST_QUERY].rpartition("&")[0]
    pairs = parse_qsl(_decoded(shown.partition("#")[0]), keep_blank_values=True)
    keys = {key.lower() for key, _ in pairs}
    codes = ("code",) if "code" in keys and not keys.isdisjoint(OAUTH) else ()
    filtered = (
        (scrub_word(key), FILTERED if key.lower() in codes or is_sensitive(key) else scrub_word(value))
        for key, value in pairs
    )
    return urlencode(sorted(filtered), safe="[]/") + (CUT_MARK if shown is not query else "")


def _decoded(query: str) -> str:
    """Return the characters of a query whose characters are bytes of UTF-8 (PEP 3333); any other stays as it is."""
    if query.isascii():
        return query
    try:
        return query.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return query
