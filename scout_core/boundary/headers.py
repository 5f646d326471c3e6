"""
Add headers to the headers of a call, in a copy: the caller's own object is never changed.

A header that the caller has set is kept. With ``traceparent`` or ``tracestate`` the caller has decided about both. A request that
carries a signature of Amazon Web Services stays as it is, because a signature may cover every header.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final

from scout_core.recording.trace.context import TRACEPARENT, TRACESTATE

_OF_TRACES: Final = frozenset({TRACEPARENT, TRACESTATE})
_SIGNED: Final = "x-amz-"
_AUTHORIZATION: Final = "authorization"
_SIGNATURES: Final = ("AWS4-", "AWS ")


class UnknownHeaders(TypeError):
    """Headers that are neither a mapping nor pairs."""


def with_headers(given: Any, added: Mapping[str, str]) -> Any:  # Any: whatever the library takes as headers
    """
    Return the headers of a call together with others.

    Args:
        given: None, a mapping, or a list or tuple of pairs; names are ``str`` or ``bytes``. Only plain containers are read without
            calling their own methods.

    Returns:
        A new object of the same kind, a dict for None; ``given`` itself if nothing may be added.

    Raises:
        UnknownHeaders: it is something else.
        Exception: whatever a mapping's own methods raise.
    """
    if given is None:
        return dict(added)
    kind = type(given)
    if kind is dict:
        pairs: Iterable[Any] = given.items()
    elif issubclass(kind, (list, tuple)):
        pairs = tuple(given) if kind is list else given
    elif issubclass(kind, Mapping) or (hasattr(kind, "items") and hasattr(kind, "copy")):
        pairs = list(given.items())
    else:
        raise UnknownHeaders(f"headers of type {kind.__name__}")
    names, has_texts = set(), False
    for name, value in _checked(pairs, kind):
        has_texts = has_texts or issubclass(type(name), str)
        found = _text(name).lower()
        if found.startswith(_SIGNED) or (found == _AUTHORIZATION and _text(value).startswith(_SIGNATURES)):
            return given
        names.add(found)
    allowed = {
        name: value
        for name, value in added.items()
        if name.lower() not in names and not (name.lower() in _OF_TRACES and names & _OF_TRACES)
    }
    if not allowed:
        return given
    if names and not has_texts:
        return _joined(
            given, kind, {name.encode("latin-1"): value.encode("latin-1") for name, value in allowed.items()}
        )
    return _joined(given, kind, allowed)


def _joined(given: Any, kind: type, added: Mapping[Any, Any]) -> Any:
    if kind is dict:
        return {**given, **added}
    if issubclass(kind, list):
        return [*given, *added.items()]
    if issubclass(kind, tuple):
        return (*given, *added.items())
    copied = _copy(given, kind)
    if copied is given:
        raise UnknownHeaders(f"copy() of {kind.__name__} returns the same object")
    for name, value in added.items():
        copied[name] = value
    return copied


def _copy(given: Any, kind: Any) -> Any:
    if not hasattr(kind, "copy"):
        return dict(given.items())
    return copy.copy(given) if kind.copy is dict.copy else given.copy()  # dict's own would return a plain dict


def _checked(pairs: Iterable[Any], kind: type) -> Iterable[tuple[Any, Any]]:
    for pair in pairs:
        if not issubclass(type(pair), (list, tuple)) or len(pair) != 2:
            raise UnknownHeaders(f"a {kind.__name__} of other items than pairs")
        yield pair


def _text(text: object) -> str:
    """Return a name or value as an exact ``str``; empty when it is not a text."""
    kind = type(text)
    if issubclass(kind, bytes):
        return bytes.decode(text, "latin-1")  # type: ignore[arg-type]
    return str.__getitem__(text, slice(None)) if issubclass(kind, str) else ""  # type: ignore[index]
