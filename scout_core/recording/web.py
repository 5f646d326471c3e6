"""The raw facts of a web request, as its framework has them; ``sending/request_facts.py`` processes them on the agent's thread.

Sources: scout_apm_python ``core/web_requests.py`` and ``core/queue_time.py`` for which headers count, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from scout_core.recording import context
from scout_core.signals import is_from_signal_handler

_Fact = TypeVar("_Fact")
_new = tuple.__new__
_IN_SCOPE = frozenset(
    (b"x-forwarded-for", b"client-ip", b"x-queue-start", b"x-request-start", b"traceparent", b"tracestate")
)


class WebRequest(NamedTuple):
    """A request as it came. Only strings, so that no object of the framework is kept alive; one that is missing is empty."""

    path: str
    """With the prefix that the application is mounted at."""
    query: str
    """As received; from a WSGI environ its characters are bytes (PEP 3333), which the agent's thread decodes."""
    forwarded_for: str = ""
    client_ip: str = ""
    remote_address: str = ""
    queue_start: str = ""
    """The header ``X-Queue-Start``; several are separated by commas."""
    request_start: str = ""
    """The header ``X-Request-Start``, which counts when the other one is missing or unreadable."""
    traceparent: str = ""
    """The header ``traceparent``, with which the caller makes this request a part of its trace."""
    tracestate: str = ""
    """The header ``tracestate``, only read beside ``traceparent``; several are separated by commas."""

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> WebRequest:
        """
        Take it from a WSGI environ, or from the scope of an ASGI request.

        Until a transaction starts, set its ``environ`` instead, which may save this.
        """
        if "headers" in environ and is_scope(environ):
            return cls.from_scope(environ)
        get = environ.get
        path, parent = get("SCRIPT_NAME", "") + get("PATH_INFO", ""), get("HTTP_TRACEPARENT", "")
        facts = (
            path if path.isascii() else _decoded(path), get("QUERY_STRING", ""), get("HTTP_X_FORWARDED_FOR", ""), get("HTTP_CLIENT_IP", ""),
            get("REMOTE_ADDR", ""), get("HTTP_X_QUEUE_START", ""), get("HTTP_X_REQUEST_START", ""),
            parent, get("HTTP_TRACESTATE", "") if parent else "",
        )  # fmt: skip
        return _new(cls, facts)  # `cls(…)` goes through a function written in Python, for every request

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> WebRequest:
        """Take it from the scope of an ASGI request. Headers that came several times are joined with commas, as WSGI servers do."""
        found: dict[bytes, str] = {}
        for name, value in scope.get("headers") or ():  # absent where an application calls another by hand
            if name in _IN_SCOPE:
                text = value.decode("latin-1")
                found[name] = f"{found[name]},{text}" if name in found else text
        client = scope.get("client")
        address, query = client[0] if client else "", scope.get("query_string", b"")
        if type(query) is not str:  # as in the test client of Django, which accepts it elsewhere, too
            query = query.decode("latin-1")
        if not found:
            return _new(cls, (scope["path"], query, "", "", address, "", "", "", ""))
        get = found.get
        parent = get(b"traceparent", "")
        facts = (
            scope["path"], query, get(b"x-forwarded-for", ""), get(b"client-ip", ""), address, get(b"x-queue-start", ""),
            get(b"x-request-start", ""),
            parent, get(b"tracestate", "") if parent else "",
        )  # fmt: skip
        return _new(cls, facts)


def is_scope(environ: Mapping[str, Any]) -> bool:
    """Return whether it is the scope of an ASGI request; a WSGI environ may contain any variables of the process, which are texts."""
    return "headers" in environ and type(environ["headers"]) is not str


def path_of(environ: Mapping[str, Any]) -> str:
    """Return only the path, as ``WebRequest.of`` does."""
    if is_scope(environ):
        return environ["path"]  # type: ignore[no-any-return]  # a text
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return path if path.isascii() else _decoded(path)


def _decoded(path: str) -> str:
    return path.encode("latin-1", "replace").decode("utf-8", "replace")  # PEP 3333: its characters are bytes


def read_environ(read: Callable[[Mapping[str, Any]], _Fact], environ: Mapping[str, Any]) -> _Fact | None:
    """Read facts on the application's thread, which is not interrupted; None, and counted, when that fails."""
    try:
        return read(environ)
    except Exception as error:
        if is_from_signal_handler(error):
            raise
        if context.tracer is not None:
            context.tracer.invalid_values += 1
        return None
