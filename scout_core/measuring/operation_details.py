"""The detail that distinguishes spans of one operation in the figures: the statement, the host or the template. On the agent's thread."""

from __future__ import annotations

from typing import Any, Final

from scout_core.text.keys import FILTERED, is_sensitive
from scout_core.text.patterns import pattern
from scout_core.text.tags import clean_tags
from scout_core.text.url import public_url

STATEMENT: Final = "statement"
DIALECT: Final = "dialect"
URL: Final = "url"
NAME: Final = "name"
TEMPLATES: Final = ("Template/", "Block/")
"""Kinds of operations whose tag ``name`` is that of a template or of a part of one."""
_HOST: Final = pattern(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]*)")
"""The beginning of a URL up to the end of its host: two slashes in a path or a query lead to none."""


def host_or_template(operation: str, tags: dict[str, Any]) -> tuple[str, str]:  # Any: whatever the application sets
    """Return key and value, not cleaned, of the tag that distinguishes a span without a statement; empty texts where none does."""
    url = tags.get(URL)
    if type(url) is str:
        scheme, _, rest = url.partition("//")
        if scheme == "https:" or scheme == "http:":  # most; the pattern takes as long as the rest of a call
            host = rest.partition("/")[0]
            if "?" not in host and "#" not in host:
                return URL, host
        place = _HOST.match(url)
        return URL, "" if place is None else place[1]
    if operation.startswith(TEMPLATES):
        name = tags.get(NAME)
        if type(name) is str:
            return NAME, name
    return "", ""


def clean_detail(key: str, value: str, dialect: str | None) -> str:
    """Return the detail as it may leave the process: a statement without literals, and a host without a user."""
    if not key or not value:
        return ""
    if key == URL:
        if is_sensitive(URL):  # listed by the application's developers
            return FILTERED
        return public_url(f"//{value}").removeprefix("//")
    return str(clean_tags({key: value, DIALECT: dialect})[0].get(key, ""))
