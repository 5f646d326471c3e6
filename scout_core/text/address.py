"""The address of a client, from the headers in which proxies report it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from scout_core.fork_lock import importing
from scout_core.text.patterns import pattern

_MOST_READ: Final = 20
"""Addresses of a list that are read."""
_LONGEST: Final = 80
"""Characters of an address with its port and zone."""

# `203.0.113.7:51234`, `[2001:db8::1]:4711`, and in quotes, as RFC 7239 (6.) writes them. An IPv6 address without brackets has no port.
_ADDRESS: Final = pattern(
    r"""\s*"?(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)(?:%[^\]\s]+)?\](?::[0-9]{0,5})?"""
    r"""|(?P<ipv4>[0-9.]+)(?::[0-9]{0,5})?|(?P<ipv6>[0-9A-Fa-f:.]+)(?:%[^\s]+)?)"?\s*"""
)


def first_address(addresses: str) -> str | None:
    """
    Return the first IP address of a list, as ``X-Forwarded-For`` has it.

    Args:
        addresses: separated by commas; each may have a port, brackets, quotes and an IPv6 zone.

    Returns:
        Without port and zone, in the shortest form; an IPv4 address that was mapped to IPv6, as dual-stack sockets do, is
        IPv4 again. None when none of the first 20 is an IP address, such as ``unknown``.
    """
    for text in addresses.split(",", _MOST_READ)[:_MOST_READ]:
        found = _ADDRESS.fullmatch(text) if len(text) <= _LONGEST else None
        address = _parsed(found["bracketed"] or found["ipv4"] or found["ipv6"]) if found else None
        if address is not None:
            return address
    return None


@lru_cache(maxsize=256)
def _parsed(text: str) -> str | None:
    with importing:  # here, on the agent's thread: since 3.11 urllib.parse has imported it, before that it takes 3 ms
        from ipaddress import ip_address

    try:
        address = ip_address(text)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
