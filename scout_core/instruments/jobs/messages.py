"""
The headers of a message: which span has published it, and when, so that the job continues its trace and its latency is known.

Hot code: a publish reads the clock once more than a call of another service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from math import isfinite
from typing import Any, Final

from scout_core.clocks import time
from scout_core.recording import context
from scout_core.recording.safety.contain import count_invalid
from scout_core.recording.trace.context import TRACEPARENT, TRACESTATE, header_text
from scout_core.recording.trace.headers import trace_headers
from scout_core.signals import is_from_signal_handler

SENT: Final = "scout-sent"
"""Header: Unix time of the publish in seconds, and after a space the id of the span that ``traceparent`` names, if that is ours."""

_OF_TRACES: Final = (TRACEPARENT, TRACESTATE)
_PARENT: Final = slice(36, 52)
"""The id of the span in ``traceparent``."""
_LONGEST_TIME: Final = 32

Headers = Mapping[Any, Any] | Iterable[tuple[Any, Any]]  # Any: str or bytes


def message_headers() -> dict[str, str]:
    """
    Return the headers for one message: ``traceparent`` and ``tracestate``, and the time as ``scout-sent``.

    Call it for each publish, also of a retry. Outside a transaction there is no trace to name, only the time.

    Returns:
        A new dict; empty while no agent runs.
    """
    if context.tracer is None:
        return {}
    headers = trace_headers()
    parent = headers.get(TRACEPARENT)
    headers[SENT] = str(time()) if parent is None else f"{time()} {parent[_PARENT]}"
    return headers


def stamp(headers: MutableMapping[Any, Any]) -> None:  # Any: whatever the application sends
    """
    Put the headers of one publish into those of a message, in place of what an earlier publish has put there.

    A library copies the headers of a job into those of its retry. Outside a transaction, as where a worker puts a job back when it is
    over, only the time is new. A ``traceparent`` or ``tracestate`` that the application has set stays, and then none of ours is added.
    Nothing is raised: what cannot be changed stays as it is, and is counted.
    """
    try:
        own = message_headers()
        if not own:
            return
        before = header_text(headers.get(SENT)).partition(" ")[2]
        if before and before == header_text(headers.get(TRACEPARENT))[_PARENT]:
            if TRACEPARENT not in own:
                headers[SENT] = f"{own[SENT]} {before}"
                return
            del headers[TRACEPARENT]
            headers.pop(TRACESTATE, None)
        if any(header_text(name).lower() in _OF_TRACES for name in headers):
            headers[SENT] = own[SENT].partition(" ")[0]
        else:
            headers.update(own)
    except Exception as error:  # of the mapping's own methods
        if is_from_signal_handler(error):
            raise
        count_invalid()


def stamped(headers: Mapping[Any, Any] | None) -> Any:  # Any: a dict, or what it was
    """
    Return the headers of a message with those of one publish, as ``stamp``, in a new dict: the application's own is not changed.

    Returns:
        A dict; while no agent runs, and if it cannot be copied, the object itself.
    """
    if context.tracer is None:
        return headers
    try:
        copied = {} if headers is None else dict(headers)
    except Exception as error:
        if is_from_signal_handler(error):
            raise
        count_invalid()
        return headers
    stamp(copied)
    return copied


def carried(headers: Headers | None) -> dict[str, str]:
    """
    Return only our headers and those of the trace, from the headers of a message: for a library that publishes it again as it is.

    Returns:
        A new dict; empty without such headers, or if they cannot be read.
    """
    try:
        named = ((header_text(name).lower(), value) for name, value in _pairs(headers))
        return {name: header_text(value) for name, value in named if name == SENT or name in _OF_TRACES}
    except Exception as error:
        if is_from_signal_handler(error):
            raise
        count_invalid()
        return {}


def sent_at(headers: Headers) -> float | None:
    """
    Return the Unix time of the publish, in seconds; None if the headers have none that can be read.

    Raises:
        Exception: whatever a mapping's own methods raise.
    """
    if type(headers) is dict and SENT in headers:
        return _seconds(headers[SENT])
    for name, value in _pairs(headers):
        if header_text(name).lower() == SENT:
            return _seconds(value)
    return None


def _pairs(headers: Headers | None) -> Iterable[tuple[Any, Any]]:
    found: Any = () if headers is None else headers  # Any: it may be anything
    return found.items() if hasattr(found, "items") else found  # type: ignore[no-any-return]


def _seconds(value: object) -> float | None:
    text = header_text(value).partition(" ")[0]
    try:
        if len(text) <= _LONGEST_TIME:
            return finite(float(text))
    except ValueError:  # other words
        pass
    count_invalid()
    return None


def finite(seconds: float) -> float:
    """Return a Unix time; for one that is not finite the beginning of 1970, which is refused, and counted, as a queue time."""
    return seconds if isfinite(seconds) else 0.0
