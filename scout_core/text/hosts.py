"""Hosts that requests go to: read from a URL, and matched against patterns such as ``*.shop.example`` or ``localhost:8080``."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Final, NamedTuple

from scout_core.text.host_names import canonical_name

_LONGEST: Final = 2_048
"""Characters of a URL in which its host is looked for."""
_LONGEST_PORT: Final = 20
"""Characters; a longer one is not a port."""
_ENDS: Final = "/\\?#"
"""Each ends the part of a URL that names its host."""
_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_REMOVED: Final = dict.fromkeys(map(ord, "\t\n\r"))


class Host(NamedTuple):
    """The host and port that a URL names, in lower case."""

    name: str
    """An IPv6 address without its brackets; empty when the URL names none."""
    port: str
    """Empty when the URL names none, and its scheme implies none."""


def host_of(url: str, *, with_default_port: bool = True) -> Host:
    """
    Return the host and the port of a URL, or of ``host:port`` without a scheme.

    Args:
        with_default_port: return the port that the scheme implies where the URL names none.
    """
    url = url[:_LONGEST].strip()
    if not url.isprintable():
        url = url.translate(_REMOVED)  # as browsers and `urllib.parse` do
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url.removeprefix("//")
    authority = rest.partition("/")[0]
    if "@" in authority.partition("\\")[2]:  # clients read two different hosts in it
        return Host("", "")
    for end in _ENDS:
        rest = rest.partition(end)[0]
    place = rest.rpartition("@")[2].strip().lower()
    if place.startswith("["):
        name, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") > 1:
        name, port = place, ""
    else:
        name, colon, port = place.partition(":")
        if colon and not port and not separator and name in _PORTS:  # `http:/shop.example`
            return Host("", "")
    default = _PORTS.get(scheme.lower(), "") if with_default_port else ""
    return Host(name.rstrip("."), port or default)


class HostList:
    """Decides for which hosts something is done."""

    __slots__ = ("_included", "_excluded")

    def __init__(self, included: Iterable[str], excluded: Iterable[str] = ()) -> None:
        """
        Take the patterns.

        Args:
            included: ``host`` or ``host:port``, where ``*`` stands for any characters.
            excluded: the same, for what is left out of these.
        """
        codecs.lookup("punycode")  # is imported here, and not by a request
        self._included = [_pattern(pattern) for pattern in included]
        self._excluded = [_pattern(pattern) for pattern in excluded]

    def includes(self, url: str) -> bool | None:
        """
        Whether the host of a URL is included; None if the host cannot be read, as one that clients read differently.

        Only ``*`` includes a URL that names no host, unless some hosts are excluded.
        """
        if len(url) > _LONGEST and not any(end in url[:_LONGEST].partition("://")[2] for end in _ENDS):
            return None
        name, port = host_of(url)
        if not name:
            return not self._excluded and _is_among(Host("", port), self._included)
        known = canonical_name(name)
        if known is None or not (port == "" or (port.isascii() and port.isdecimal() and len(port) < _LONGEST_PORT)):
            return None
        host = Host(known, port.lstrip("0") or port[:1])
        return _is_among(host, self._included) and not _is_among(host, self._excluded)


def _pattern(text: str) -> Host:
    """Return a pattern whose name is written in the one way in which names are compared."""
    host = host_of(text, with_default_port=False)
    return Host(canonical_name(host.name) or host.name, host.port.lstrip("0") or host.port[:1])


def _is_among(host: Host, patterns: Iterable[Host]) -> bool:
    return any(
        matches(host.name, pattern.name) and (not pattern.port or matches(host.port, pattern.port))
        for pattern in patterns
    )


def matches(text: str, pattern: str) -> bool:
    """Whether a text is a pattern, in which ``*`` stands for any characters."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True
