"""
The parts that plugins of HTTP clients share: the span of a call, its URL, and a response that is read after the call.

A plugin passes attributes of the library's own objects. Nothing here calls a method of an object that the application passes, not
even of its texts. Headers travel by ``wrap(target, describer, headers=)``.

Hot code: each call of a client runs it.
"""

from __future__ import annotations

from typing import Any, Final

from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.span import Span
from scout_core.recording.stepwise.released import end_when_released
from scout_core.text.plain import exact

__all__ = ["count_attempt", "http_span", "last_until", "target_url"]

ATTEMPTS: Final = "attempts"
"""Tag: requests that were sent for a call; absent when it was one."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_OPERATIONS: Final = {name: f"HTTP/{name.upper()}" for name in (*_METHODS, *map(str.lower, _METHODS))}
_UNKNOWN: Final = "HTTP/OTHER"


def http_span(method: str | bytes, url: str) -> OutermostSpan:
    """
    Return the span of a call: ``HTTP/GET``, tagged with ``url``. Where one client uses another, only that of the outer one is recorded.

    Args:
        method: in any case. Anything but a text is ``HTTP/OTHER``.
        url: the whole URL. User, password, query and fragment are removed on the agent's thread, before anything is sent.
    """
    operation = _OPERATIONS.get(method) if type(method) is str else None
    return OutermostSpan(operation or _operation_of(method), url=url)


def _operation_of(method: object) -> str:
    if issubclass(type(method), str):  # as http.HTTPMethod
        return f"HTTP/{exact(method).upper()}"  # type: ignore[arg-type]
    if issubclass(type(method), bytes):
        return f"HTTP/{bytes.decode(method, 'latin-1').upper()}"  # type: ignore[arg-type]
    return _UNKNOWN


def target_url(scheme: str, host: str, port: int | None, target: str) -> str:
    """
    Return the URL of a request, as its target and its connection give it: ``https://shop.example:8443/orders/17?page=2``.

    Args:
        scheme: without a colon; empty if it is unknown.
        host: of the server, also where a proxy is in between; an IPv6 address with or without brackets.
        port: None or 0: the default of the scheme.
        target: path and query, or ``*``; a whole URL, as a proxy gets it, is returned itself.
    """
    scheme, host, target = exact(scheme), exact(host), exact(target)
    if not target.startswith("/") and target.partition("://")[0].isalnum() and "://" in target:
        return target
    if ":" in host and host[0] != "[":
        host = f"[{host}]"
    start = f"{scheme}://{host}" if scheme else f"//{host}"
    return f"{start}:{port}{target}" if port else f"{start}{target}"


def count_attempt(call: OutermostSpan) -> None:
    """
    Count a call that a library makes from inside a call, to retry it or to follow a redirect: the tag ``attempts`` of the outer span.

    Args:
        call: the span of the inner call, which is covered by the outer one. The tag is 2 after the first of these.
    """
    outer = call.parent
    if outer is not None and call.is_covered:
        attempts = outer.own_tags.get(ATTEMPTS)
        outer.tag(ATTEMPTS, 2 if attempts is None else attempts + 1)


def last_until(call: Span, response: Any, release: str, *close: str) -> None:  # Any: of whatever library
    """
    Let the span of a call last until its response has been read or closed: ``last_until(call, response, "release", "close")``.

    For a response that is read by calls of its own methods, and stays the same object; for one with an iterator, use ``call.stream``.
    The methods are replaced on this object, and put back when the span ends. The span of a response that is freed before has
    the tag ``abandoned``; that of a response whose attributes cannot be set ends with its call, and has the tag ``unfollowed_body``.

    Args:
        release: the method of the response that the library itself calls when all has been read, and when reading fails. An exception
            that passes through the library's method which calls it is the span's error.
        close: methods that the application calls instead. Calls by the library do not count.
    """
    end_when_released(call, response, (release, *close))
