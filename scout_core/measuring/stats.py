"""The figures of a transaction's name that policies can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core.measuring.histogram import RankedHistogram, bucket_of

if TYPE_CHECKING:
    from scout_core.measuring.figures import Figures


class Lifetime:
    """All transactions of one name since the process started."""

    __slots__ = ("count", "total", "durations", "first_at", "kept_at")

    def __init__(self, now: float) -> None:
        self.count = 0
        self.total = 0.0
        """Seconds, summed."""
        self.durations = RankedHistogram()
        self.first_at = now
        """Monotonic seconds at which the name was first recorded."""
        self.kept_at = now
        """Monotonic seconds at which a trace of its own group was last kept, or the name first recorded."""

    def add(self, seconds: float, bucket: int | None = None) -> float:
        """
        Count a transaction.

        Args:
            bucket: ``bucket_of(seconds)``, where it is known already.

        Returns:
            The share, 0 to 1, of this name's transactions that were shorter.
        """
        self.count += 1
        self.total += seconds
        return self.durations.add_ranked(bucket_of(seconds) if bucket is None else bucket)

    def add_figures(self, figures: Figures) -> None:
        """Count transactions that no policy is asked about."""
        self.count += figures.count
        self.total += figures.total_ns / 1e9
        self.durations.merge(figures.durations)


class Stats:
    """
    Figures of this transaction's name, with this transaction included.

    Args:
        lifetime: of its name.
        quantile: the result of ``lifetime.add``.
        all_time: seconds spent in all names.
        now: monotonic seconds.
        kept_at: monotonic seconds at which a trace of its group was last kept; None: the group is the name.
    """

    __slots__ = ("_lifetime", "_all_time", "_now", "_kept_at", "quantile")

    quantile: float
    """The share, 0 to 1, of this name's transactions that were shorter than this one."""

    def __init__(
        self, lifetime: Lifetime, quantile: float, all_time: float, now: float, kept_at: float | None = None
    ) -> None:
        self._lifetime = lifetime
        self._all_time = all_time
        self._now = now
        self._kept_at = lifetime.kept_at if kept_at is None else kept_at
        self.quantile = quantile

    @property
    def count(self) -> int:
        """Transactions of this name that have ended since the process started; at least 1."""
        return self._lifetime.count

    @property
    def mean(self) -> float:
        """Mean duration of this name, in seconds."""
        return self._lifetime.total / self._lifetime.count

    @property
    def share(self) -> float:
        """Time spent in this name as a share, 0 to 1, of the time spent in all names since the process started."""
        return self._lifetime.total / self._all_time if self._all_time else 0.0

    @property
    def seconds_since_kept(self) -> float:
        """
        Seconds since a trace of this group was last kept in this process; while none was kept, since the name was first recorded.

        The group is the name, unless a plugin chose another. It is 0.0 for the first transaction of a name, and never None. A
        trace counts as kept when its report is made, at the end of the period; a restarted or forked process starts again.
        """
        return max(0.0, self._now - self._kept_at)

    def as_numbers(self) -> dict[str, float]:
        """Return all of these by name, so that a kept trace can show the figures that its policies had."""
        return {
            "count": self.count,
            "mean": self.mean,
            "share": self.share,
            "quantile": self.quantile,
            "seconds_since_kept": self.seconds_since_kept,
        }

    def percentile(self, q: float) -> float:
        """Return the duration, in seconds, that a share ``q`` (0 to 1) of this name's transactions does not exceed."""
        return self._lifetime.durations.quantile(q) or 0.0
