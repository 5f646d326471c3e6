"""Every error that the dashboard raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scout_core.errors import ScoutError

_MOST_NAMED: Final = 20


class BadQuery(ScoutError):
    """A page or the API was asked for something that makes no sense; the message says what to change. Answered with 400."""


class NotFound(ScoutError):
    """There is no such endpoint or trace (any more). Answered with 404."""


class UnknownApp(NotFound):
    """No application of this name has reported. Answered with 404."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        others = ", ".join(map(repr, known[:_MOST_NAMED])) + (" and others" if len(known) > _MOST_NAMED else "")
        super().__init__(
            f"no application called {name[:200]!r} has reported; {others} {'has' if len(known) == 1 else 'have'}"
        )
        self.known = known


class StoreError(ScoutError):
    """The data directory or a file in it cannot be used; the message names it and says what to do."""


class StoreFull(StoreError):
    """A report could not be written for lack of space; nothing of it was stored. Answered with 507."""


class CollectorError(ScoutError):
    """The collector cannot start; the message says why and what to do."""


class PortInUse(CollectorError):
    """Another program listens on the port that was asked for."""


class PolicyError(ScoutError):
    """A policy cannot be tried; the message names it and says why."""
