"""The application: intake, API and pages behind the gate; and how its connections behave."""

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
from scout_dashboard.gate import FAILED, Gate, problem
from scout_dashboard.intake import READ_SECONDS, Intake
from scout_dashboard.queries import Queries
from scout_dashboard.tally import Tally
from scout_dashboard.writer import Writer

_MOST_CONNECTIONS: Final = 400
"""A process may open 1,024 files by default, and the store needs some."""


def build_app(
    *, access: Access, writer: Writer, queries: Queries, tally: Tally, read_seconds: float = READ_SECONDS
) -> ASGIApp:
    """
    The whole dashboard as an ASGI application.

    Args:
        read_seconds: how long the body of a report may take.
    """
    intake = Intake(access, writer, tally, read_seconds=read_seconds)
    app = Starlette(
        routes=[Route(REPORTS, intake.__call__, methods=["POST"]), *api.routes(), *pages.routes()],
        exception_handlers={HTTPException: _no_route, StoreError: _no_store, Exception: _bug},
    )
    app.state.queries = queries
    return Gate(app, access, tally)


def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    text = "there is nothing at this address"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = " and ".join(sorted(headers.get("Allow", "GET, HEAD").split(", ")))
        text = f"this address takes {allowed}, not {request.method[:20]}"
    answer = problem(request, status, HTTPStatus(status).phrase, text)
    answer.headers.update(headers)
    return answer


def _no_store(request: Request, error: Exception) -> Response:
    return problem(request, 503, "The data cannot be read", str(error))


def _bug(request: Request, _: Exception) -> Response:
    return problem(request, 500, "Something went wrong", FAILED)


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with an end to its patience and an answer to whoever has stopped sending, but still reads."""

    patience: float = READ_SECONDS
    """Seconds from the connection, or from the last answer, until a request must be there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: handed on as they are
        super().__init__(*args, **kwargs)
        self.logger = _quiet()
        self._expiry: asyncio.TimerHandle | None = None
        self._is_ended = False
        """Nothing more comes, though answers may still go."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        if self._expiry is not None:
            self._expiry.cancel()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's gives None: whatever was asked, it closes
        """
        Whether to keep the connection, as there is something to answer.

        A request that is cut off is refused here: uvicorn would tell the application that nobody is there any more.
        """
        self._is_ended = True
        if self.conn.their_state is h11.SEND_BODY:
            self.send_400_response("the body ended too early")
        elif self._is_answered():
            if self.conn.trailing_data[0]:
                self.send_400_response("the headers ended too early")
            return False
        return True

    def on_response_complete(self) -> None:
        """Wait for the next request, if one may come."""
        super().on_response_complete()
        if self._is_ended and self._is_answered():
            self.transport.close()
        else:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, with the headers of every answer; say nothing when an answer is under way."""
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

    def _wait(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.loop.call_later(self.patience, self._expire)

    def _expire(self) -> None:
        if self._is_answered():
            self.transport.close()

    def _is_answered(self) -> bool:
        """Whether no request waits for its answer."""
        return self.cycle is None or self.cycle.response_complete


def _quiet() -> logging.Logger:
    """For what uvicorn says of requests: it warns of each that is no HTTP, which is an attacker's to fill."""
    logger = logging.getLogger("scout_core.dashboard.http")
    logger.setLevel(logging.CRITICAL)
    return logger
