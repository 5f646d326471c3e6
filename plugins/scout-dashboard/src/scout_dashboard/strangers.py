"""Requests of strangers, who have not shown a secret: a limited number a second, so that most of the time is left for everyone else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from scout_dashboard.tally import Tally

RATE: Final = 100
"""Turns a second, of all strangers together. One costs about a millisecond."""
BURST: Final = 50
"""Turns without waiting after a second or so without strangers: a browser that is not logged in loads a page with its files."""
MOST_UNREAD: Final = 262_144
"""Bytes of the body of a refused request that are received and dropped, so that its client can read the answer."""
DROP_SECONDS: Final = 1.0


class Strangers:
    """
    The queue in which the connections of strangers wait for their turns.

    A turn handles what a connection has received: a request, or a part of one. Until then nothing more is read from it, so the
    queue is no longer than the number of connections.
    """

    def __init__(self, tally: Tally, *, rate: float = RATE, burst: int = BURST) -> None:
        self._tally = tally
        self._seconds = 1 / rate
        self._burst = burst
        self._waiting: deque[Callable[[], None]] = deque()
        self._paid_until = float("-inf")
        """Loop time up to which turns were taken, each of which takes an equal part of a second."""

    def take_turn(self, turn: Callable[[], None]) -> None:
        """Call a function now, or later if there were too many turns."""
        if not self._waiting and self._seconds_to_wait() <= 0:
            self._take(turn)
            return
        self._tally.count_delayed()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            self._schedule()

    def _seconds_to_wait(self) -> float:
        now = asyncio.get_running_loop().time()
        self._paid_until = max(self._paid_until, now - self._burst * self._seconds)
        return self._paid_until + self._seconds - now

    def _take(self, turn: Callable[[], None]) -> None:
        self._paid_until += self._seconds
        turn()

    def _schedule(self) -> None:
        # Not several turns after a busy moment: those that are not strangers come first then.
        asyncio.get_running_loop().call_later(max(self._seconds, self._seconds_to_wait()), self._next)

    def _next(self) -> None:
        turn = self._waiting.popleft()
        if self._waiting:
            self._schedule()
        self._take(turn)


class Drain(asyncio.Protocol):
    """
    A connection after a request was refused before its end: what follows is dropped, and soon the connection is closed.

    A connection that is closed at once is reset by what its client still sends, and the client may not get the answer.
    """

    def __init__(self, transport: asyncio.Transport, lost: Callable[[Exception | None], None]) -> None:
        """
        Args:
            lost: called when the connection has ended.
        """
        self._transport = transport
        self._left = MOST_UNREAD
        self._lost = lost
        self._end = asyncio.get_running_loop().call_later(DROP_SECONDS, transport.abort)
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Drop it."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._end.cancel()
        self._lost(exc)
