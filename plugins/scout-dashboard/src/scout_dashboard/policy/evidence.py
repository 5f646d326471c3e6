"""The statistics that policies used: as recorded by the agent with the trace, otherwise estimated from the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import Trace
from scout_core.operations import is_web
from scout_dashboard.ranges import zoomed_range
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.rollups import Ranked, by_name
from scout_dashboard.store.traces import TraceRow, last_kept_before

FIGURES: Final = ("count", "mean", "share", "quantile", "seconds_since_kept")
"""Attributes of ``scout_core.Stats``, in display order."""
_DAY: Final = 86_400
_HOUR: Final = 3_600


@define
class Evidence:
    """
    Replacement for ``scout_core.Stats``.

    Values that the agent did not record are estimated from all processes of the application in the 24 hours before. They
    may differ from the values that a single agent measured.
    """

    recorded: Mapping[str, float]
    _estimate: Callable[[str], float]
    _durations: Callable[[], Histogram]
    estimated: set[str] = field(factory=set)
    """Names of the values that were read and estimated."""

    @property
    def count(self) -> int:
        """Number of finished transactions of this name."""
        return int(self._figure("count"))

    @property
    def mean(self) -> float:
        """Mean duration of this name, in seconds."""
        return self._figure("mean")

    @property
    def share(self) -> float:
        """Time spent in this name as a share of all time."""
        return self._figure("share")

    @property
    def quantile(self) -> float:
        """The share of this name's transactions that were shorter than this one."""
        return self._figure("quantile")

    @property
    def seconds_since_kept(self) -> float:
        """Seconds since a trace of this name was last kept."""
        return self._figure("seconds_since_kept")

    def percentile(self, q: float) -> float:
        """Return the duration in seconds that a share ``q`` of this name's transactions does not exceed. Always estimated."""
        self.estimated.add("percentile")
        return self._durations().quantile(q) or 0.0

    def figures(self) -> dict[str, float]:
        """Return all values except ``percentile``."""
        return {name: self._figure(name) for name in FIGURES}

    def _figure(self, name: str) -> float:
        if name in self.recorded:
            return self.recorded[name]
        self.estimated.add(name)
        return self._estimate(name)


@define
class Estimates:
    """Creates evidence, and caches what it reads from the store."""

    _reader: Reader
    _ranked: dict[tuple[str, bool, int], dict[str, Ranked]] = field(factory=dict)

    def of(self, row: TraceRow, trace: Trace) -> Evidence:
        """Return the evidence that the policies had when they scored this trace."""
        return Evidence(
            trace.seen,
            lambda name: self._estimated(name, row),
            lambda: merged_histogram(self._of_name(row).durations),
        )

    def _estimated(self, figure: str, row: TraceRow) -> float:
        if figure == "seconds_since_kept":
            before = last_kept_before(self._reader, row)
            return 0.0 if before is None else max(0.0, row.start + row.duration - before)
        ranked = self._of_name(row)
        if figure == "count":
            return max(1, ranked.count)
        if figure == "mean":
            return ranked.total / ranked.count if ranked.count else row.duration
        if figure == "quantile":
            return merged_histogram(ranked.durations).rank(row.duration)
        whole = sum(ranked.total for web in (True, False) for ranked in self._names(row, web=web).values())
        return ranked.total / whole if whole else 0.0

    def _of_name(self, row: TraceRow) -> Ranked:
        return self._names(row, web=is_web(row.name)).get(row.name) or Ranked()

    def _names(self, row: TraceRow, *, web: bool) -> dict[str, Ranked]:
        hour = int((row.start + row.duration) // _HOUR + 1) * _HOUR
        key = row.app, web, hour
        if key not in self._ranked:
            day = zoomed_range(hour - _DAY, hour, app=row.app)
            self._ranked[key] = self._reader.readable(lambda: by_name(self._reader, day, web=web))
        return self._ranked[key]
