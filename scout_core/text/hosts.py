"""Hosts that requests go to: read from a URL, and matched against patterns such as ``*.shop.example`` or ``localhost:8080``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

_LONGEST: Final = 2_048
"""Characters of a URL in which its host is looked for."""
_LONGEST_QUERY: Final = 16_384
_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_SIGNATURES: Final = ("x-amz-", "awsaccesskeyid=")


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
    scheme, separator, rest = url[:_LONGEST].partition("://")
    if not separator:
        scheme, rest = "", url[:_LONGEST].removeprefix("//")
    for end in "/\\?#":
        rest = rest.partition(end)[0]
    place = rest.rpartition("@")[2].strip().lower()
    if place.startswith("["):
        name, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") > 1:
        name, port = place, ""
    else:
        name, _, port = place.partition(":")
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
        self._included = [host_of(pattern, with_default_port=False) for pattern in included]
        self._excluded = [host_of(pattern, with_default_port=False) for pattern in excluded]

    def includes(self, url: str) -> bool:
        """Whether the host of a URL is included. Only ``*`` includes a URL that names no host."""
        host = host_of(url)
        return _is_among(host, self._included) and not _is_among(host, self._excluded)


def is_signed(url: str) -> bool:
    """Whether the query of a URL carries a signature of Amazon Web Services, which may cover the headers."""
    query = url[:_LONGEST_QUERY].partition("?")[2].lower()
    return bool(query) and any(part in query for part in _SIGNATURES)


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
