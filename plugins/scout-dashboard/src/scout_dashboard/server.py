"""The ASGI application (intake, API and pages behind the gate), and its HTTP connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import h11
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from scout_core.sending.protocol import REPORTS
from scout_dashboard import api, pages
from scout_dashboard.access import SECURITY_HEADERS, Access
from scout_dashboard.errors import StoreError
from scout_dashboard.gate import FAILURE_TEXT, Gate, error_response
from scout_dashboard.intake import MAX_BYTES, READ_SECONDS, Intake
from scout_dashboard.queries import Queries
from scout_dashboard.tally import Tally
from scout_dashboard.writer import Writer

_MAX_CONNECTIONS: Final = 400
"""A process may open 1,024 files by default, and the store needs some of them."""


def build_app(
    *,
    access: Access,
    writer: Writer,
    queries: Queries,
    tally: Tally,
    read_seconds: float = READ_SECONDS,
    max_report_bytes: int = MAX_BYTES,
) -> ASGIApp:
    """
    Build the dashboard as an ASGI application.

    Args:
        read_seconds: time limit for receiving the body of a report.
    """
    intake = Intake(access, writer, tally, read_seconds=read_seconds, max_bytes=max_report_bytes)
    app = Starlette(
        routes=[Route(REPORTS, intake.__call__, methods=["POST"]), *api.routes(), *pages.routes()],
        exception_handlers={HTTPException: _http_error, StoreError: _store_unavailable, Exception: _internal_error},
    )
    app.state.queries = queries
    return Gate(app, access, tally)


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    text = "no page at this address"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = " or ".join(sorted(headers.get("Allow", "GET, HEAD").split(", ")))
        text = f"method {request.method[:20]} is not allowed here; use {allowed}"
    answer = error_response(request, status, HTTPStatus(status).phrase, text)
    answer.headers.update(headers)
    return answer


def _store_unavailable(request: Request, error: Exception) -> Response:
    return error_response(request, 503, "The store cannot be read", str(error))


def _internal_error(request: Request, _: Exception) -> Response:
    return error_response(request, 500, "Internal error", FAILURE_TEXT)


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a timeout for idle connections and with responses to half-closed ones."""

    idle_seconds: float = READ_SECONDS
    """Time limit for a complete request, counted from the connection or from the previous response."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on unchanged
        super().__init__(*args, **kwargs)
        self.logger = _silent_logger()
        self._expiry: asyncio.TimerHandle | None = None
        self._is_half_closed = False
        """The client has stopped sending, but can still receive."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the timeout, or drop the connection when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        super().connection_lost(exc)
        if self._expiry is not None:
            self._expiry.cancel()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's returns None, which always closes
        """
        Return whether to keep the connection because a response is pending.

        An incomplete request is refused here; uvicorn would report a disconnected client to the application.
        """
        self._is_half_closed = True
        if self.conn.their_state is h11.SEND_BODY:
            self.send_400_response("incomplete body")
        elif self._is_answered():
            if self.conn.trailing_data[0]:
                self.send_400_response("incomplete headers")
            return False
        return True

    def on_response_complete(self) -> None:
        """Wait for the next request, unless the client has stopped sending."""
        super().on_response_complete()
        if self._is_half_closed and self._is_answered():
            self.transport.close()
        else:
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Refuse invalid HTTP with the usual headers; only close the connection when a response has started."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        headers = [*SECURITY_HEADERS.items(), ("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
        headers.append(("content-length", str(len(msg))))
        for event in (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _start_timer(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.loop.call_later(self.idle_seconds, self._expire)

    def _expire(self) -> None:
        if self._is_answered():
            self.transport.close()

    def _is_answered(self) -> bool:
        """Return whether no response is pending."""
        return self.cycle is None or self.cycle.response_complete


def _silent_logger() -> logging.Logger:
    """Return a logger that drops uvicorn's warnings about invalid requests, with which an attacker could fill a log."""
    logger = logging.getLogger("scout_core.dashboard.http")
    logger.setLevel(logging.CRITICAL)
    return logger
