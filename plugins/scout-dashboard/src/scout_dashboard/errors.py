"""Every error that the dashboard raises on purpose."""

from __future__ import annotations

from scout_core.errors import ScoutError


class BadQuery(ScoutError):
    """A page or the API was asked for something that makes no sense; the message says what to change. Answered with 400."""


class NotFound(ScoutError):
    """There is no such endpoint or trace (any more). Answered with 404."""


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
