"""Signatures of Amazon Web Services in requests, which may cover every header: in a URL, or in the headers themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from scout_core.classes import exact

_PREFIX: Final = "x-amz-"
"""Beginning of the parameters and headers of a signed request."""
_KEY_ID: Final = "awsaccesskeyid"
"""A parameter of a URL that is signed in the way before version 4; ``Signature`` is another one."""
_AUTHORIZATIONS: Final = ("authorization", "x-amzn-authorization")
_SCHEMES: Final = ("aws3", "aws4")
"""Beginnings of the first word of a signature, such as ``AWS4-HMAC-SHA256``; before version 3 the word is ``AWS``."""


def is_signed(url: str) -> bool:
    """Whether the query of a URL carries a signature, however its names are written: ``X%2DAmz-Signature``."""
    query = url.partition("?")[2].partition("#")[0]
    if not query:
        return False
    for part in query.replace(";", "&").split("&"):
        name = part.partition("=")[0]
        name = (_unquoted(name) if "%" in name else name).strip().lower()
        if name.startswith(_PREFIX) or name == _KEY_ID:
            return True
    return False


def _unquoted(name: str) -> str:
    """Return a name with the characters that ``%2D`` stands for. ``urllib.parse`` takes long to import."""
    first, *others = name.split("%")
    return first + "".join(map(_with_character, others))


def _with_character(part: str) -> str:
    try:
        return chr(int(part[:2], 16)) + part[2:]
    except ValueError:
        return f"%{part}"


def is_signing(name: str, value: object) -> bool:
    """
    Whether a header carries a signature, or belongs to one.

    Args:
        name: in lower case, without spaces around it.
        value: a text, or a list of texts.
    """
    if name.startswith(_PREFIX):
        return True
    if name not in _AUTHORIZATIONS:
        return False
    return any(_is_signature(exact_text(found)) for found in _items_of(value))


def exact_text(text: object) -> str:
    """Return a name or value of a header as an exact ``str``, without calling a method of a subclass; empty when it is not a text."""
    kind = type(text)
    if issubclass(kind, str):
        return exact(text)  # type: ignore[arg-type]
    if issubclass(kind, bytes):
        return bytes.decode(text, "latin-1")  # type: ignore[arg-type]
    if issubclass(kind, bytearray):
        return bytearray.decode(text, "latin-1")  # type: ignore[arg-type]
    return bytes(text).decode("latin-1") if kind is memoryview else ""  # type: ignore[call-overload]


def _items_of(value: Any) -> Iterable[object]:  # Any: whatever the caller passes
    kind = type(value)
    if issubclass(kind, list):
        return list.__iter__(value)
    return tuple.__iter__(value) if issubclass(kind, tuple) else (value,)


def _is_signature(text: str) -> bool:
    first, *others = text.split(None, 1) or [""]
    return first.lower().startswith(_SCHEMES) or (first.lower() == "aws" and bool(others))
