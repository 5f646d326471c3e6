"""The exceptions that the dashboard raises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scout_core.errors import ScoutError
from scout_dashboard.locks import Holder, describe

_MAX_NAMED: Final = 20


class BadQuery(ScoutError):
    """Invalid query parameter; the message names the problem and the fix. Status 400."""


class NotFound(ScoutError):
    """No such endpoint or trace, or it has expired. Status 404."""


class UnknownApp(NotFound):
    """No application of this name has reported. Status 404."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        names = ", ".join(map(repr, known[:_MAX_NAMED])) + (" and others" if len(known) > _MAX_NAMED else "")
        super().__init__(f"no application named {name[:200]!r} has reported; known applications: {names}")
        self.known = known


class StoreError(ScoutError):
    """The data directory or a file in it is unusable; the message names it and the next step."""


class UnusableFile(StoreError):
    """A day's file is damaged, from a newer version, or not one of ours; the store sets it aside."""


class StoreFull(StoreError):
    """No space left for a report; nothing of it was stored. Status 507."""


class CollectorError(ScoutError):
    """The collector cannot start; the message has the reason and the next step."""


class PortInUse(CollectorError):
    """The requested port is in use."""


class AlreadyRunning(CollectorError):
    """A collector is running, or starting, for this state directory."""

    def __init__(self, state_dir: Path, holder: Holder | None) -> None:
        super().__init__(
            f"{state_dir} is in use by {describe(holder)}; stop that one first, or choose another directory with --state-dir"
        )
        self.state_dir = state_dir
        self.holder = holder
        """None when it has not described itself yet."""


class PolicyError(ScoutError):
    """A policy cannot be replayed; the message has its name and the reason."""
