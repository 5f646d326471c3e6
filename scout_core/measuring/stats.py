"""What a policy may ask about the name of a transaction."""

from __future__ import annotations

from scout_core.measuring.histogram import Histogram


class Lifetime:
    """All transactions of one name since the process started."""

    __slots__ = ("count", "total", "durations", "kept_at")

    def __init__(self, now: float) -> None:
        self.count = 0
        self.total = 0.0
        """Seconds, summed."""
        self.durations = Histogram()
        self.kept_at = now
        """Monotonic seconds at which a trace was last kept, or the name first seen."""


class Stats:
    """What the agent knows of this transaction's name, this transaction included."""

    __slots__ = ("_lifetime", "_duration", "_all_time", "_now")

    def __init__(self, lifetime: Lifetime, duration: float, all_time: float, now: float) -> None:
        self._lifetime = lifetime
        self._duration = duration
        self._all_time = all_time
        self._now = now

    @property
    def count(self) -> int:
        """How many of this name have ended since the process started; at least 1."""
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
    def quantile(self) -> float:
        """The share, 0 to 1, of this name's transactions that were shorter than this one."""
        return self._lifetime.durations.rank(self._duration)

    @property
    def seconds_since_kept(self) -> float:
        """Since a trace of this name was last kept in this process; if none was, since the name was first seen."""
        return max(0.0, self._now - self._lifetime.kept_at)

    def as_numbers(self) -> dict[str, float]:
        """All of these by name, so that a kept trace can show what its policies were told."""
        return {
            "count": self.count,
            "mean": self.mean,
            "share": self.share,
            "quantile": self.quantile,
            "seconds_since_kept": self.seconds_since_kept,
        }

    def percentile(self, q: float) -> float:
        """The duration, in seconds, that a share ``q`` (0 to 1) of this name's transactions does not exceed."""
        return self._lifetime.durations.quantile(q) or 0.0
