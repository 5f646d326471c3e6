"""
W3C trace context, level 2: the headers ``traceparent`` and ``tracestate``, read and written.

The public test suite decides wherever the specification leaves a choice, or differs from it: a ``tracestate`` with an invalid member
or more than 32 is dropped as a whole, of a key that comes twice the first member is kept, and a key with ``@`` is ``tenant@system``.

Source: https://www.w3.org/TR/trace-context-2/, https://github.com/w3c/trace-context (``test/test.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from scout_core.classes import exact

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SAMPLED: Final = 1
"""The flag of a caller that may have recorded its part of the trace."""
RANDOM: Final = 2
"""The flag of a trace id whose right-hand 7 bytes are random."""

_KNOWN_FLAGS: Final = SAMPLED | RANDOM
_VERSION_0: Final = 55
"""Characters of ``traceparent`` in version 00, and the least of every later one."""
_LONGEST: Final = 16_384
"""Characters of a header that are read; a longer one is dropped."""
_MOST_MEMBERS: Final = 32
_MOST_STATE: Final = 512
"""Characters of ``tracestate`` that are passed on."""
_LARGE_MEMBER: Final = 128
"""Members with more characters are dropped first."""
_HEX: Final = "0123456789abcdef"
_SPACE: Final = " \t"
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_KEY_BEGIN: Final = _LETTERS + "0123456789"
_KEY: Final = _KEY_BEGIN + "_-*/"
_VALUE: Final = "".join(character for character in map(chr, range(0x20, 0x7F)) if character not in ",=")


class TraceContext(NamedTuple):
    """A transaction's place in a trace."""

    trace_id: str
    """32 hexadecimal digits."""
    parent_id: str
    """The caller's span, 16 hexadecimal digits; empty where the trace begins."""
    flags: int
    """``SAMPLED`` and ``RANDOM``, as they came."""
    state: str
    """``tracestate`` to pass on; empty without one."""


def read_context(traceparent: object, tracestate: object = "") -> TraceContext | None:
    """
    Return the caller's context from the values of both headers; None when ``traceparent`` is missing or invalid.

    Args:
        traceparent: ``str``, or ``bytes`` in Latin-1; anything else is missing.
        tracestate: the same; several headers joined by commas. An invalid one is left out.
    """
    parent = header_text(traceparent).strip(_SPACE)
    if len(parent) < _VERSION_0:
        return None
    version, trace_id, parent_id, flags = parent[:2], parent[3:35], parent[36:52], parent[53:55]
    if (parent[2], parent[35], parent[52]) != ("-", "-", "-") or not _is_hex(version + trace_id + parent_id + flags):
        return None
    if version == "ff" or not trace_id.strip("0") or not parent_id.strip("0"):
        return None
    if len(parent) > _VERSION_0 and (version == "00" or parent[_VERSION_0] != "-"):
        return None
    return TraceContext(trace_id, parent_id, int(flags, 16) & _KNOWN_FLAGS, read_state(tracestate))


def read_state(tracestate: object) -> str:
    """
    Return ``tracestate`` as it is passed on: without spaces around members and without empty ones, at most 512 characters.

    Whole members are cut: those of more than 128 characters first, then from the right. Empty when a member is invalid.
    """
    text = header_text(tracestate)
    if not text:
        return ""
    members: dict[str, str] = {}
    count = 0
    for part in text.split(","):
        member = part.strip(_SPACE)
        if not member:
            continue
        count += 1
        key, equals, value = member.partition("=")
        if count > _MOST_MEMBERS or not equals or not _is_key(key) or not _is_value(value):
            return ""
        members.setdefault(key, member)
    return ",".join(_fitting(list(members.values())))


def format_traceparent(context: TraceContext, span_id: str, *, is_recorded: bool) -> str:
    """
    Return ``traceparent`` for a call.

    Args:
        span_id: of the span that makes the call, 16 hexadecimal digits.
        is_recorded: False: the flag ``SAMPLED`` is not passed on.
    """
    flags = context.flags if is_recorded else context.flags & ~SAMPLED
    return f"00-{context.trace_id}-{span_id}-{flags:02x}"


def find_headers(headers: object) -> tuple[object, object]:
    """
    Return the values of ``traceparent`` and ``tracestate``, the latter joined; None for one that is missing.

    Args:
        headers: a mapping, pairs, or a WSGI environ. Names are ``str`` or ``bytes``, in any case.

    Raises:
        Exception: whatever any other object raises.
    """
    environ: Any = headers  # Any: it may be anything
    if isinstance(headers, Mapping) and ("HTTP_TRACEPARENT" in headers or "REQUEST_METHOD" in headers):
        return environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE")
    pairs: Iterable[Any] = environ.items() if hasattr(environ, "items") else environ
    parents: list[str] = []
    states: list[str] = []
    for name, value in pairs:
        found = header_text(name).lower()
        if found == TRACEPARENT:
            parents.append(header_text(value))
        elif found == TRACESTATE:
            states.append(header_text(value))
    return (parents[0] if len(parents) == 1 else None), (",".join(states) or None)


def _fitting(members: list[str]) -> list[str]:
    size = sum(map(len, members)) + len(members) - 1
    for shortest in (_LARGE_MEMBER + 1, 0):
        for position in reversed(range(len(members))):
            if size > _MOST_STATE and len(members[position]) >= shortest:
                size -= len(members.pop(position)) + 1
    return members


def header_text(value: object) -> str:
    """Return a header's value as an exact ``str``; empty when it is not a text, or too long to read."""
    kind = type(value)
    if issubclass(kind, bytes):
        value = bytes.decode(value, "latin-1") if bytes.__len__(value) <= _LONGEST else ""  # type: ignore[arg-type]
    elif not issubclass(kind, str) or str.__len__(value) > _LONGEST:  # type: ignore[arg-type]
        return ""
    return exact(value)  # type: ignore[arg-type]


def _is_hex(text: str) -> bool:
    return not text.strip(_HEX)


def _is_key(key: str) -> bool:
    if not key or key[0] not in _KEY_BEGIN or len(key) > 256:
        return False
    tenant, at, system = key.partition("@")
    if at and not (len(tenant) <= 241 and 1 <= len(system) <= 14 and system[0] in _KEY_BEGIN):
        return False
    return not (tenant + system).strip(_KEY)


def _is_value(value: str) -> bool:
    return 1 <= len(value) <= 256 and value[-1] != " " and not value.strip(_VALUE)
