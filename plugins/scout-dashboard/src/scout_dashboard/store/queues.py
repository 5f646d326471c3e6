"""Reads the figures of jobs by queue: of each job and queue over a whole range, and of each queue per step of a chart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from attrs import Factory, define, field

from scout_core.measuring.histogram import Histogram
from scout_core.sending.protocol import PROBE_APP
from scout_dashboard.ranges import Range
from scout_dashboard.store.bulk import unquoted
from scout_dashboard.store.levels import level_for
from scout_dashboard.store.packing import merged_histogram, pack_histogram
from scout_dashboard.store.queue_sums import add_outcomes
from scout_dashboard.store.reader import Reader, Row
from scout_dashboard.store.rollup_tables import BY_QUEUE
from scout_dashboard.store.slices import figures, parts_of, read_slices


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

    def pack(self) -> None:
        """Make one packed histogram of each kind, which takes less time to add to others than many."""
        self._durations = [pack_histogram(self.durations)]
        self._waits = [pack_histogram(self.waits)]

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
    if name is not None:
        return _by_job(reader, when.app, when.start, when.end, name=name)
    found: dict[tuple[str, str], Queued] = {}
    for part in _parts(reader, "jobs", when, lambda start, end: _packed(_by_job(reader, when.app, start, end))):
        for key, queued in part.items():
            found.setdefault(key, Queued()).add(queued)
    return found


def by_queue(reader: Reader, when: Range) -> dict[str, dict[int, Queued]]:
    """Return each queue's figures by the start of each step; steps without jobs are missing, and callers must not modify the others."""
    found: dict[str, dict[int, Queued]] = {}
    for part in _parts(reader, "queues", when, lambda start, end: _by_queue(reader, when, start, end)):
        for (queue, step), queued in part.items():
            found.setdefault(queue, {})[step] = queued  # no step is in two parts
    return found


_Key = TypeVar("_Key", bound=tuple[object, ...])


def _parts(
    reader: Reader, of: str, when: Range, read: Callable[[int, int], dict[_Key, Queued]]
) -> Iterator[dict[_Key, Queued]]:
    """Read the parts of a range, complete days only once, until one of them is written again."""
    for start, end, is_complete in parts_of(when.start, when.end):
        if is_complete:
            key = of, when.app, start, end, when.step
            yield reader.cached(key, partial(read, start, end), start=start, end=end)
        else:
            yield read(start, end)


def _packed(found: dict[_Key, Queued]) -> dict[_Key, Queued]:
    for queued in found.values():
        queued.pack()
    return found


def _by_job(
    reader: Reader, app: str | None, start: int, end: int, *, name: str | None = None
) -> dict[tuple[str, str], Queued]:
    found: dict[tuple[str, str], Queued] = {}
    where, values = _filter(app, is_total=False)
    if name is not None:
        where, values = f"{where} AND s.name = ?", (*values, name)
    columns = ("s.name", "s.queue", *figures(BY_QUEUE))
    for job, queue, *row in read_slices(reader, BY_QUEUE, columns, where=where, values=values, start=start, end=end):
        found.setdefault((job, queue), Queued()).add_row(unquoted(row, BY_QUEUE.kinds))
    return found


def _by_queue(reader: Reader, when: Range, start: int, end: int) -> dict[tuple[str, int], Queued]:
    found: dict[tuple[str, int], Queued] = {}
    where, values = _filter(when.app, is_total=True)
    columns, level = ("s.queue", "r.start", *figures(BY_QUEUE)), level_for(when.step)
    for queue, at, *row in read_slices(
        reader, BY_QUEUE, columns, where=where, values=values, start=start, end=end, coarsest=level
    ):
        found.setdefault((queue, at // when.step * when.step), Queued()).add_row(unquoted(row, BY_QUEUE.kinds))
    return found


def _filter(app: str | None, *, is_total: bool) -> tuple[str, tuple[object, ...]]:
    return (
        ("s.is_total = ? AND s.app != ?", (is_total, PROBE_APP))
        if app is None
        else ("s.is_total = ? AND s.app = ?", (is_total, app))
    )
