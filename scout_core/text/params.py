"""The path of a request with its parameters: ``/login?next=%2F&password=[FILTERED]``."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode

from scout_core.text.keys import FILTERED, is_sensitive
from scout_core.text.patterns import pattern
from scout_core.text.plain import CUT_MARK, beginning, cut, plain
from scout_core.text.secrets import scrub, scrub_word
from scout_core.text.url import clean_path

__all__ = ["filtered_path", "is_sensitive"]

LONGEST: Final = 2_000
"""Characters of a path with its parameters."""

_LONGEST_QUERY: Final = 8_192

# A request line may name the server, even with a user and a password: `GET http://user:password@host/path`.
_SERVER: Final = pattern(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*|//[^/?#]*@[^/?#]*")


def filtered_path(path: str, query: str, *, with_query: bool = True) -> str:
    """
    The path of a request and its parameters, sorted, without secrets.

    Args:
        path: percent-encoded or not. A server, a user or a fragment in it is left out.
        query: as it was received, without the question mark.
        with_query: False gives the path alone.

    Returns:
        At most 2,000 characters. The values of sensitive keys and those that look like secrets are ``[FILTERED]``.

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
    # Where it is too long, the last value may be half a secret.
    shown = query if len(query) <= _LONGEST_QUERY else query[:_LONGEST_QUERY].rpartition("&")[0]
    pairs = parse_qsl(shown.partition("#")[0], keep_blank_values=True)
    filtered = ((scrub_word(key), FILTERED if is_sensitive(key) else scrub_word(value)) for key, value in pairs)
    return urlencode(sorted(filtered), safe="[]/") + (CUT_MARK if shown is not query else "")
