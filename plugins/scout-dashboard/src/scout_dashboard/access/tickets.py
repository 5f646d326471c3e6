"""Tickets: the part of a login link that works once, within five minutes. They are only in memory."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from hashlib import sha256
from threading import Lock
from typing import Final

from attrs import define

from scout_dashboard.access.addresses import new_secret

VALID_SECONDS: Final = 300
MOST_TICKETS: Final = 100


class TicketState(Enum):
    """Whether a ticket can log in, and why not."""

    VALID = "valid"
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """Never issued, issued before a restart of the collector, or replaced by a hundred newer ones."""


@define
class _Ticket:
    issued: float
    is_used: bool = False


class Tickets:
    """The tickets of one collector. Thread-safe."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tickets: dict[bytes, _Ticket] = {}
        """By hash, so that the time of a look-up does not depend on how much of a ticket was guessed."""
        self._lock = Lock()

    def issue(self) -> str:
        """Return a new ticket."""
        ticket = new_secret()
        with self._lock:
            while len(self._tickets) >= MOST_TICKETS:
                del self._tickets[next(iter(self._tickets))]
            self._tickets[_hash(ticket)] = _Ticket(self._clock())
        return ticket

    def state(self, ticket: str) -> TicketState:
        """Return the state of a ticket, and leave it as it is: programs that preview links use this."""
        with self._lock:
            return self._state(ticket)

    def redeem(self, ticket: str) -> TicketState:
        """Return the state of a ticket; one that was valid is used from now on."""
        with self._lock:
            state = self._state(ticket)
            if state is TicketState.VALID:
                self._tickets[_hash(ticket)].is_used = True
            return state

    def _state(self, ticket: str) -> TicketState:
        known = self._tickets.get(_hash(ticket))
        if known is None:
            return TicketState.UNKNOWN
        if known.is_used:
            return TicketState.USED
        # Before its issue: the clock was set back.
        return TicketState.VALID if 0 <= self._clock() - known.issued < VALID_SECONDS else TicketState.EXPIRED


def _hash(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()
