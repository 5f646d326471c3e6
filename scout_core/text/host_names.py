"""
The one form of a host name in which names are compared, whatever form of it a client resolves.

``127.1``, ``0x7f.0.0.1``, ``2130706433``, ``127%2E0.0.1`` and ``[::ffff:127.0.0.1]`` are all ``127.0.0.1``.

Source: the host parser of the URL standard (https://url.spec.whatwg.org/#host-parsing), and ``inet_aton`` of POSIX.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from scout_core.text.patterns import pattern

_ENCODED: Final = "xn--"
"""The beginning of a label that stands for one with other letters than ASCII."""
_DOTS: Final = str.maketrans("\u3002\uff0e\uff61", "...")
_SIMPLE: Final = pattern(r"(?!.*xn--)(?:[a-z0-9_-]+\.)*[a-z_-][a-z0-9_-]*")
"""A name that has no other form; the last label of an IPv4 address begins with a digit."""
_FORBIDDEN: Final = pattern(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")
_NUMBER: Final = pattern(r"[0-9]+|0x[0-9a-f]*")


@lru_cache(maxsize=1_000)
def canonical_name(name: str) -> str | None:
    """
    Return a host name, or a pattern of some, in the form in which names are compared.

    Args:
        name: in lower case; an IPv6 address without its brackets.

    Returns:
        ``bücher.example`` for ``xn--bcher-kva.example`` and for itself, the short form of an IPv6 address, four decimal numbers for an
        IPv4 address. None if it is not a valid name, so that it is not known what a client makes of it.
    """
    if _SIMPLE.fullmatch(name):
        return name
    if ":" in name:
        return _ipv6(name)
    try:
        decoded = unquote_to_bytes(name).decode("utf-8")
    except UnicodeError:
        return None
    mapped = unicodedata.normalize("NFKC", _visible(decoded).translate(_DOTS)).lower().rstrip(".")
    if not mapped or _FORBIDDEN.search(mapped):
        return None
    labels = mapped.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(labels)
    return ".".join(map(_decoded, labels))


def _visible(name: str) -> str:
    """Return a name without the characters that are ignored in names, such as the soft hyphen and selectors of variants."""
    if name.isascii():
        return name
    return "".join(
        letter
        for letter in name
        if unicodedata.category(letter) != "Cf" and not ("\ufe00" <= letter <= "\ufe0f" or letter == "\u034f")
    )


def _decoded(label: str) -> str:
    if not label.startswith(_ENCODED):
        return label
    try:
        decoded = label[len(_ENCODED) :].encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    return label if decoded.isascii() else _visible(decoded).lower()


def _ipv4(parts: list[str]) -> str | None:
    """Return the address of one to four numbers, decimal, octal or hexadecimal, the last of which fills all bytes that remain."""
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) < 20 for part in parts):
        return None
    try:
        *first, last = map(_number, parts)
    except ValueError:  # 8 or 9 in an octal number
        return None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(ipaddress.IPv4Address(sum(number << 24 - 8 * place for place, number in enumerate(first)) + last))


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)


def _ipv6(name: str) -> str | None:
    try:
        address = ipaddress.ip_address(name.replace("%25", "%"))
    except ValueError:  # or a pattern
        return None
    return str(getattr(address, "ipv4_mapped", None) or address.compressed)
