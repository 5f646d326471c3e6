"""Figures of the jobs of one name by the queue that they were taken from: how long they waited and ran, and how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.measuring.histogram import Histogram, bucket_of
from scout_core.operations import counted_under

if TYPE_CHECKING:
    from scout_core.measuring.report import QueueMetrics
    from scout_core.recording.transaction import Transaction

QUEUE: Final = "queue"
"""Tag: the queue that a job was taken from."""
OUTCOME: Final = "outcome"
"""Tag: how a job ended, one of those in ``recording/job.py``, or whatever the application has set."""
MAX_QUEUES: Final = 20
"""Queues counted separately under one name; further ones are counted as ``other``."""
MAX_OUTCOMES: Final = 20
"""The same for outcomes: an application can set the tag to anything."""
LONGEST_TEXT: Final = 100
"""Characters of a queue, and of an outcome, that are kept."""

Facts = tuple[str, str]
"""Queue and outcome; empty where none is known."""


def facts_of(transaction: Transaction) -> Facts:
    """
    Return the queue and the outcome of a job, as its tags have them.

    Raises:
        Exception: the application has set something else as tags.
    """
    tags = transaction.own_tags
    return _text(tags.get(QUEUE)), _text(tags.get(OUTCOME))


class QueueFigures:
    """All jobs of one name and queue so far in this period."""

    __slots__ = ("count", "errors", "total_ns", "durations", "queue_time", "waits", "outcomes")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.total_ns = 0
        self.durations = Histogram()
        self.queue_time = 0.0
        self.waits = Histogram()
        self.outcomes: dict[str, int] = {}

    def add(self, bucket: int, duration_ns: int, *, is_error: bool, waited: float | None, outcome: str) -> None:
        """
        Count a job.

        Args:
            bucket: of its duration.
            waited: seconds; None: unknown.
            outcome: empty: unknown.
        """
        self.count += 1
        self.errors += is_error
        self.total_ns += duration_ns
        self.durations.add_to(bucket)
        if waited is not None:
            self.queue_time += waited
            self.waits.add_to(bucket_of(waited))
        if outcome in self.outcomes:
            self.outcomes[outcome] += 1
        elif outcome:
            outcome = counted_under(outcome, self.outcomes, MAX_OUTCOMES)
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def freeze(self) -> QueueMetrics:
        """As it goes into the report."""
        from scout_core.measuring.report import QueueMetrics  # with the first report

        return QueueMetrics(
            count=self.count,
            errors=self.errors,
            total=self.total_ns / 1e9,
            durations=self.durations,
            queue_time=self.queue_time,
            waits=self.waits,
            outcomes=self.outcomes,
        )


def _text(value: object) -> str:
    return value[:LONGEST_TEXT] if type(value) is str else ""
