"""HTTP connections: uvicorn's, with time limits for both directions, turns for strangers, and an order in which they are dropped."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import h11
from attrs import frozen
from uvicorn.protocols.http.h11_impl import H11Protocol

from scout_dashboard.access import SECURITY_HEADERS
from scout_dashboard.strangers import Drain, Strangers
from scout_dashboard.tally import Tally

TOO_SLOW: Final = "too slow to read"
INCOMPLETE: Final = "incomplete request"
IDLE: Final = "idle at the limit"
WAITING: Final = "without a token at the limit"
_LONGEST_HEAD: Final = 16_384
"""Bytes, as h11 has it."""
_RESET: Final = struct.pack("ii", 1, 0)


@frozen
class TimeLimits:
    """Time limits of a connection, in seconds."""

    request: float
    """For a complete request, counted from the connection or from the previous response."""
    response: float
    """In which the client must take some of the response."""


class Connection(H11Protocol):
    """One connection. It belongs to a stranger until it has sent a request with a valid secret."""

    def __init__(
        self,
        *args: Any,  # Any: passed on unchanged
        limits: TimeLimits,
        tally: Tally,
        strangers: Strangers,
        shows_secret: Callable[[bytes], bool],
        **kwargs: Any,
    ) -> None:
        """
        Args:
            shows_secret: returns whether the beginning of a request has a valid token, session or login link.
        """
        super().__init__(*args, **kwargs)
        self.logger = _silent_logger()
        self.is_trusted = False
        self.is_private = False
        self.is_dropped = False
        self.opened = self.idle_since = self.loop.time()
        self._limits = limits
        self._tally = tally
        self._strangers = strangers
        self._shows_secret = shows_secret
        self._is_waiting = False
        """For its turn."""
        self._expiry: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._unwritten = 0
        self._is_half_closed = False
        """The client has stopped sending, but can still receive."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the timeout."""
        try:
            super().connection_made(transport)
            # Zero: the application waits until everything is with the kernel, and a stranger holds one part of one response.
            transport.set_write_buffer_limits(high=0)
            self.is_private = transport.get_extra_info("socket").family == getattr(socket, "AF_UNIX", None)
            self._start_timer()
        except Exception:
            transport.abort()  # asyncio would keep it open
            raise

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeouts."""
        super().connection_lost(exc)
        for timer in self._expiry, self._stall:
            if timer is not None:
                timer.cancel()

    def handle_events(self) -> None:
        """Handle what was received: at once, or if it is the request of a stranger, when it is its turn."""
        if not self._is_from_stranger():
            super().handle_events()
        elif not self._is_waiting:
            self._is_waiting = True
            self.flow.pause_reading()
            self._strangers.take_turn(self._take_turn)

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
        self.idle_since = self.loop.time()
        if self.conn.their_state is h11.SEND_BODY and not self.is_trusted and not self.transport.is_closing():
            Drain(self.transport, self.connection_lost)
            return
        super().on_response_complete()
        if self._is_half_closed and self._is_answered():
            self.transport.close()
        else:
            self._start_timer()

    def pause_writing(self) -> None:
        """Start to watch whether the client reads."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Everything is with the kernel."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()

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

    @property
    def is_busy(self) -> bool:
        """Whether it waits for the application, not for the client."""
        return not self._is_answered() and not self._is_stalled()

    def make_room(self) -> None:
        """Drop it in favour of a new connection."""
        if self._is_waiting:
            self._drop(WAITING)
        else:
            self._drop(TOO_SLOW if self._is_stalled() else INCOMPLETE if self._is_incomplete() else IDLE)

    def _drop(self, reason: str) -> None:
        self.is_dropped = True
        self._tally.count_dropped_connection(reason)
        with suppress(OSError):  # macOS: the client has disconnected already
            # At once: the kernel would keep what the client does not read.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _is_from_stranger(self) -> bool:
        """Return whether a request begins that has no secret, on a connection that has not shown one either."""
        if self.is_trusted or self.is_private or self.conn.their_state is not h11.IDLE:
            return False
        received = self.conn.trailing_data[0][:_LONGEST_HEAD]
        self.is_trusted = self._shows_secret(received)
        return bool(received) and not self.is_trusted

    def _take_turn(self) -> None:
        self._is_waiting = False
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        super().handle_events()
        if self._expiry is not None and self._expiry.when() <= self.loop.time():  # it expired while it was waiting
            self._expire()

    def _start_timer(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.loop.call_later(self._limits.request, self._expire)

    def _expire(self) -> None:
        if not self._is_answered():
            return
        if self._is_incomplete():
            self._drop(INCOMPLETE)
        else:
            self.transport.close()

    def _watch_writing(self) -> None:
        self._unwritten = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(self._limits.response, self._check_writing)

    def _check_writing(self) -> None:
        if self.transport.get_write_buffer_size() < self._unwritten:
            self._watch_writing()
        else:
            self._drop(TOO_SLOW)

    def _is_answered(self) -> bool:
        """Return whether no response is pending."""
        return not self._is_waiting and (self.cycle is None or self.cycle.response_complete)

    def _is_incomplete(self) -> bool:
        """Return whether the client has to send the rest of a request."""
        if self.conn.their_state is h11.SEND_BODY:
            return True
        return self._is_answered() and bool(self.conn.trailing_data[0])

    def _is_stalled(self) -> bool:
        """Return whether the client has to read before anything else can happen."""
        return self.flow.write_paused


def _silent_logger() -> logging.Logger:
    """Return a logger that drops uvicorn's warnings about invalid requests, with which an attacker could fill a log."""
    logger = logging.getLogger("scout_core.dashboard.http")
    logger.setLevel(logging.CRITICAL)
    return logger
