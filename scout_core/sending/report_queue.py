"""
Reports that wait for one exporter: bounded in number and bytes, and sent in an order in which one that always fails neither blocks the
others nor is retried forever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

if TYPE_CHECKING:
    from scout_core.measuring.report import Report

MAX_REPORTS: Final = 30
MAX_BYTES: Final = 4 * 1024 * 1024
"""Roughly: of the reports' contents as they will be encoded."""
PATIENCE: Final = 6
"""Attempts of one report, over about a minute, before the others get a turn."""
PROOFS: Final = 3
"""Times that a report must fail directly after another one has arrived before it is dropped."""


@define(eq=False)
class Waiting:
    """A report in the queue of an exporter."""

    report: Report
    transactions: int
    size: int
    attempts: int = 0
    """Those that failed."""
    failures_beside_others: int = 0
    """Attempts that failed directly after another report had arrived."""
    faults: int = 0
    """Faults of our own while it was sent."""

    @property
    def is_suspect(self) -> bool:
        """Whether it has failed so often that it may be the cause."""
        return self.attempts >= PATIENCE

    @property
    def is_proved_bad(self) -> bool:
        """Whether the fault is in the report, not in the receiver."""
        return self.failures_beside_others >= PROOFS

    def note_failure(self, *, is_after_delivery: bool) -> None:
        """Count an attempt that failed, perhaps directly after another report had arrived."""
        self.failures_beside_others += is_after_delivery and self.is_suspect
        self.attempts += 1

    def allow_another_attempt(self) -> None:
        """Give it an equal turn with the other suspects again."""
        self.attempts = min(self.attempts, PATIENCE)


class ReportQueue:
    """Oldest first. Its owner holds a lock during every call."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self.bytes = 0
        self.sending: Waiting | None = None
        """In the exporter's hands; still in the queue, and not dropped to make room."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, newest: Waiting) -> list[Waiting]:
        """Add a report; return the oldest ones, which had to go to make room for it."""
        self._waiting.append(newest)
        self.bytes += newest.size
        dropped = []
        while len(self._waiting) > MAX_REPORTS or self.bytes > MAX_BYTES:
            oldest = next((waiting for waiting in self._waiting if waiting not in (self.sending, newest)), None)
            if oldest is None:
                break
            self.remove(oldest)
            dropped.append(oldest)
        return dropped

    def __contains__(self, waiting: Waiting) -> bool:
        return waiting in self._waiting

    def remove(self, waiting: Waiting) -> None:
        """Remove a report that is there."""
        self._waiting.remove(waiting)
        self.bytes -= waiting.size

    def take_all(self) -> list[Waiting]:
        """Remove all reports, and return them."""
        taken = list(self._waiting)
        self._waiting.clear()
        self.bytes = 0
        return taken

    def choose(self, *, has_delivered: bool) -> Waiting:
        """Return the report to send now, which stays in the queue; ``has_delivered`` as for ``next_turn``."""
        self.sending = next_turn(self._waiting, has_delivered=has_delivered)
        return self.sending

    def allow_another_attempt(self) -> None:
        """Give every report an equal turn again: the receiver is reachable."""
        for waiting in self._waiting:
            waiting.allow_another_attempt()


def next_turn(queue: Sequence[Waiting], *, has_delivered: bool) -> Waiting:
    """
    Return the oldest, except that one which has failed many times lets the others try.

    If they arrive, the fault is in the report, not in the receiver: it is tried directly after them, which is the proof.

    Args:
        queue: oldest first, not empty.
        has_delivered: the last attempt, of another one, was successful.
    """
    suspects = [waiting for waiting in queue if waiting.is_suspect]
    if has_delivered and suspects:
        return suspects[0]
    return min(queue, key=lambda waiting: max(0, waiting.attempts - PATIENCE + 1))
