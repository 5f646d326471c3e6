"""Choose the report to send next, so that one that always fails neither blocks the others nor is retried forever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

if TYPE_CHECKING:
    from scout_core.measuring.report import Report


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
