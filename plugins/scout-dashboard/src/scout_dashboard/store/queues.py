"""Reads the figures of jobs by queue: of each job and queue, or each queue, over a whole range, and the waits per step of a chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from attrs import Factory, define, field, frozen

from scout_core.measuring.histogram import Histogram
from scout_dashboard.ranges import Range
from scout_dashboard.store.applications import of_app
from scout_dashboard.store.levels import level_for
from scout_dashboard.store.packing import merged_histogram, pack_histogram
from scout_dashboard.store.queue_sums import add_outcomes
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollup_tables import BY_QUEUE
from scout_dashboard.store.slices import joined, read_parts, read_slices, real_sum, split, whole_sum

_SUMS: Final = (
    "sum(r.count)", "sum(r.errors)", real_sum("r.total"), joined("r.durations"), real_sum("r.queue_time"), joined("r.waits"),
    "group_concat(r.outcomes)",
)  # fmt: skip
"""The figures of all slices of a series in a file."""


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

    def add_sums(self, row: Sequence[Any]) -> None:  # Any: JSON
        """Add the values of ``_SUMS``."""
        count, errors, total, durations, queue_time, waits, outcomes = row
        self.count += whole_sum(count)
        self.errors += whole_sum(errors)
        self.total += float(total)
        self.queue_time += float(queue_time)
        before = len(self._waits)
        self._durations += split(durations)
        self._waits += split(waits)
        of_rows = json.loads(f"[{outcomes}]")
        if len(of_rows) != len(self._waits) - before:
            raise ValueError("a row of outcomes has something else than one JSON object")
        for of_row in of_rows:
            add_outcomes(self.outcomes, of_row)
        self._merged_durations = self._merged_waits = None

    def pack(self) -> None:
        """Make one packed histogram of each kind, which takes less time to add to others than many."""
        self._durations = [pack_histogram(self.durations)]
        self._waits = [pack_histogram(self.waits)]
        self._merged_durations = self._merged_waits = None  # ten times as large

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


@frozen
class StepWaits:
    """How long the jobs of one step of a chart waited, of which it is known. Times in seconds."""

    count: int
    total: float
    p95: float | None
    """None without such jobs."""


def by_job(reader: Reader, when: Range, *, name: str | None = None) -> dict[tuple[str, str], Queued]:
    """
    Return the figures of each job and queue in the range; those of several applications are merged.

    Args:
        name: select only this job.

    Returns:
        Name and queue to figures; the queue is empty for jobs without the tag.
    """
    if name is not None:
        return _by_job(reader, when.app, when.start, when.end, name=name)
    found: dict[tuple[str, str], Queued] = {}
    for part in read_parts(reader, ("jobs",), when, partial(_by_job, reader, when.app), pack=Queued.pack):
        for key, queued in part.items():
            found.setdefault(key, Queued()).add(queued)
    return found


def by_queue(reader: Reader, when: Range) -> dict[str, Queued]:
    """Return the figures of each queue in the range; those of several applications are merged."""
    found: dict[str, Queued] = {}
    for part in read_parts(reader, ("queues",), when, partial(_by_queue, reader, when.app), pack=Queued.pack):
        for queue, queued in part.items():
            found.setdefault(queue, Queued()).add(queued)
    return found


def waits_by_step(reader: Reader, when: Range) -> dict[int, StepWaits]:
    """Return how long the jobs of all queues waited, by the start of each step; steps without jobs are missing."""
    found: dict[int, StepWaits] = {}
    read = partial(_waits_by_step, reader, when.app, when.step)
    for part in read_parts(reader, ("waits", when.step), when, read):
        found |= part  # no step is in two parts
    return found


def _by_job(
    reader: Reader, app: str | None, start: int, end: int, *, name: str | None = None
) -> dict[tuple[str, str], Queued]:
    found: dict[tuple[str, str], Queued] = {}
    where, values = _filter(app, is_total=False)
    if name is not None:
        where, values = f"{where} AND s.name = ?", (*values, name)
    columns = ("s.name", "s.queue", *_SUMS)
    for job, queue, *row in read_slices(
        reader, BY_QUEUE, columns, where=where, values=values, start=start, end=end, grouped="s.id"
    ):
        found.setdefault((job, queue), Queued()).add_sums(row)
    return found


def _by_queue(reader: Reader, app: str | None, start: int, end: int) -> dict[str, Queued]:
    found: dict[str, Queued] = {}
    where, values = _filter(app, is_total=True)
    for queue, *row in read_slices(
        reader, BY_QUEUE, ("s.queue", *_SUMS), where=where, values=values, start=start, end=end, grouped="s.id"
    ):
        found.setdefault(queue, Queued()).add_sums(row)
    return found


def _waits_by_step(reader: Reader, app: str | None, step: int, start: int, end: int) -> dict[int, StepWaits]:
    where, values = _filter(app, is_total=True)
    at = f"r.start / {step} * {step}"
    rows = read_slices(
        reader, BY_QUEUE, (at, real_sum("r.queue_time"), joined("r.waits")), where=where, values=values,
        start=start, end=end, coarsest=level_for(step), grouped=at,
    )  # fmt: skip
    found: dict[int, StepWaits] = {}
    for of, total, packed in rows:
        waits = merged_histogram(split(packed))
        found[of] = StepWaits(waits.count, float(total), waits.quantile(0.95))
    return found


def _filter(app: str | None, *, is_total: bool) -> tuple[str, tuple[object, ...]]:
    where, values = of_app(app, table="s.")
    return f"s.is_total = ? AND {where}", (is_total, *values)
