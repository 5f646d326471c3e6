"""Reads the figures of jobs by queue: of each job and queue over a whole range, and of each queue per step of a chart."""

from __future__ import annotations

import json

from attrs import Factory, define, field

from scout_core.measuring.histogram import Histogram
from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.ranges import Range
from scout_dashboard.store.bulk import unquoted
from scout_dashboard.store.levels import level_for
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.queue_sums import add_outcomes
from scout_dashboard.store.reader import Reader, Row
from scout_dashboard.store.rollup_tables import BY_QUEUE
from scout_dashboard.store.slices import figures, read_slices


@define
class Queued:
    """Figures of jobs; their histograms stay packed until they are needed, as those of a month are many. Times in seconds."""

    count: int = 0
    errors: int = 0
    total: float = 0.0
    queue_time: float = 0.0
    outcomes: dict[str, int] = Factory(dict)
    _durations: list[bytes] = Factory(list)
    _waits: list[bytes] = Factory(list)
    _merged_durations: Histogram | None = field(init=False, default=None)
    _merged_waits: Histogram | None = field(init=False, default=None)

    def add(self, other: Queued) -> None:
        """Add the other figures, which remain unchanged."""
        self.count += other.count
        self.errors += other.errors
        self.total += other.total
        self.queue_time += other.queue_time
        add_outcomes(self.outcomes, other.outcomes)
        self._durations += other._durations
        self._waits += other._waits
        self._merged_durations = self._merged_waits = None

    def add_row(self, row: Row) -> None:
        """Add the values of ``COLUMNS``."""
        count, errors, total, durations, queue_time, waits, outcomes = row
        self.count += count
        self.errors += errors
        self.total += total
        self.queue_time += queue_time
        add_outcomes(self.outcomes, json.loads(outcomes))
        self._durations.append(durations)
        self._waits.append(waits)
        self._merged_durations = self._merged_waits = None

    @property
    def durations(self) -> Histogram:
        """How long the jobs ran; callers must not modify it."""
        if self._merged_durations is None:
            self._merged_durations = merged_histogram(self._durations)
        return self._merged_durations

    @property
    def waits(self) -> Histogram:
        """How long those jobs waited of which it is known; callers must not modify it."""
        if self._merged_waits is None:
            self._merged_waits = merged_histogram(self._waits)
        return self._merged_waits


def by_job(reader: Reader, when: Range, *, name: str | None = None) -> dict[tuple[str, str], Queued]:
    """
    Return the figures of each job and queue in the range; those of several applications are merged.

    Args:
        name: select only this job.

    Returns:
        Name and queue to figures; the queue is empty for jobs without the tag.
    """
    found: dict[tuple[str, str], Queued] = {}
    where, values = _filter(when.app, is_total=False)
    if name is not None:
        where, values = f"{where} AND s.name = ?", (*values, name)
    columns = ("s.name", "s.queue", *figures(BY_QUEUE))
    for job, queue, *row in read_slices(
        reader, BY_QUEUE, columns, where=where, values=values, start=when.start, end=when.end
    ):
        found.setdefault((job, queue), Queued()).add_row(unquoted(row, BY_QUEUE.kinds))
    return found


def by_queue(reader: Reader, when: Range) -> dict[str, dict[int, Queued]]:
    """Return the figures of each queue in each step of the range, by its start; steps without jobs are missing."""
    found: dict[str, dict[int, Queued]] = {}
    where, values = _filter(when.app, is_total=True)
    columns, level = ("s.queue", "r.start", *figures(BY_QUEUE)), level_for(when.step)
    for queue, start, *row in read_slices(
        reader, BY_QUEUE, columns, where=where, values=values, start=when.start, end=when.end, coarsest=level
    ):
        step = start // when.step * when.step
        found.setdefault(queue, {}).setdefault(step, Queued()).add_row(unquoted(row, BY_QUEUE.kinds))
    return found


def _filter(app: str | None, *, is_total: bool) -> tuple[str, tuple[object, ...]]:
    return (
        ("s.is_total = ? AND s.app != ?", (is_total, PROBE_APP))
        if app is None
        else ("s.is_total = ? AND s.app = ?", (is_total, app))
    )
