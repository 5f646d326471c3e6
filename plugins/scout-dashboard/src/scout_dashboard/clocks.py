"""The clocks of the processes that report: how far each is from the clock here."""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import define, field, frozen

from scout_core.measuring.report import Report
from scout_dashboard.ranges import LATEST

MAX_OFFSET: Final = 60.0
"""Seconds between two clocks that are not corrected."""
_MAX_DISTANCE: Final = 86_400.0
_TOLERANCE: Final = 0.2
"""By how much two reports of a clock that is behind may differ in their delay, as a part of the time between their ends."""
_MOST_REMEMBERED: Final = 5_000

UNKNOWN: Final = "report that ended over a minute before it arrived: late, or of a clock that is behind; not corrected"


@frozen
class _Behind:
    """A report that ended long before it arrived."""

    end: float
    delay: float
    """Seconds from its end, by the clock of its process, to its arrival, by the clock here."""
    offset: float
    """Seconds by which the clock is known to be behind; 0.0 while that is not known."""


@define
class Clocks:
    """
    The clocks of processes.

    A process that names its time when it sends is compared with the time of arrival; so is the end of its report, which it may have
    made before its clock was set back. Without that, a clock that is behind looks
    like a report that is late, but only a clock that is behind makes report after report late by the same time.
    """

    _behind: dict[str, _Behind] = field(init=False, factory=dict)
    """By instance; the one that reported last comes last."""

    def offset_of(self, report: Report, *, arrived: float, sent: float | None) -> tuple[float, Counter[str]]:
        """
        Return the seconds by which the clock of a process is ahead of the clock here, negative when it is behind, and a hint.

        Args:
            arrived: by the clock here.
            sent: by the clock of the process; None from a sender that does not name it.

        Returns:
            0.0 for up to a minute, and for a report whose end is a day ahead without ``sent``: that is a mistake, not a clock.
            The hint is empty unless it is not known whether the clock is behind.
        """
        if sent is not None:
            offset = sent - arrived if abs(sent - arrived) > MAX_OFFSET else 0.0
            ahead = report.end - offset - arrived
            if MAX_OFFSET < ahead <= _MAX_DISTANCE:  # made before the clock was set back
                offset += ahead
            return offset, Counter()
        offset = report.end - arrived
        if offset < -MAX_OFFSET:
            known = self._offset_behind(report, -offset)
            return -known, Counter() if known else Counter({UNKNOWN: 1})
        self._behind.pop(report.process.instance, None)
        return (offset if MAX_OFFSET < offset <= _MAX_DISTANCE else 0.0), Counter()

    def _offset_behind(self, report: Report, delay: float) -> float:
        instance = report.process.instance
        before = self._behind.pop(instance, None)
        if before is not None and report.end <= before.end:  # sent again
            self._behind[instance] = before
            return min(before.offset, delay)
        offset = 0.0
        if before is not None:
            tolerance = _TOLERANCE * (report.end - before.end)
            if before.offset and delay >= before.offset - tolerance:
                offset = min(before.offset, delay)  # this one may be late, too
            elif abs(delay - before.delay) <= tolerance:
                offset = min(before.delay, delay)
        self._behind[instance] = _Behind(report.end, delay, offset)
        while len(self._behind) > _MOST_REMEMBERED:
            del self._behind[next(iter(self._behind))]
        return offset


def read_sent(text: str | None) -> float | None:
    """Return the time in the header of a request; None when it is missing or impossible."""
    try:
        sent = float(text or "")
    except ValueError:
        return None
    return sent if 0 < sent < LATEST else None
