"""Whether a queue keeps up: how long its jobs wait, beside how long they waited before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from attrs import frozen

from scout_core.measuring.histogram import Histogram
from scout_dashboard.queries.metrics import Facts, milliseconds
from scout_dashboard.queries.rank_test import CLEAR, rank_z
from scout_dashboard.store.queues import Queued

BEHIND: Final = "behind"
"""The jobs wait clearly longer than before, and still do."""
STOPPED: Final = "stopped"
"""No job has ended, though ``FEWEST`` or more had before: it is unknown whether any wait."""
RECOVERED: Final = "recovered"
"""The jobs waited clearly longer than before, but lately no longer do."""
STEADY: Final = "steady"
"""The jobs do not wait clearly longer than before."""
UNCOMPARED: Final = "uncompared"
"""The waiting time is known, but of too few jobs to compare."""
UNKNOWN: Final = "unknown"
"""Jobs have ended, none of them with a known waiting time."""
IDLE: Final = "idle"
"""No job has ended, and few had before."""
_RANKS: Final = {BEHIND: 0, STOPPED: 1, RECOVERED: 2, STEADY: 2, UNCOMPARED: 2, UNKNOWN: 3, IDLE: 4}

BEFORE, EARLIER = "before", "earlier"
"""Compared with: the period before, of the same length, or the earlier half of this one, as little ran before."""

FEWEST: Final = 20
"""Jobs with a known waiting time that each side of a comparison needs."""
_FEWEST_LATELY: Final = 10
_TIMES: Final = 1.2
_SECONDS: Final = 0.1
"""The mean must grow by this factor, and by so much: a shorter time is noticed by nobody who waits for a job."""
_STILL: Final = 1.0
"""The z of the last third, which has fewer jobs."""


@frozen
class Waits:
    """How long jobs waited."""

    known: Histogram
    """Only of jobs whose waiting time is known."""
    total: float
    """Seconds, summed over these jobs."""

    @property
    def mean(self) -> float | None:
        """Seconds; None without such jobs."""
        return self.total / self.known.count if self.known.count else None


def waits_of(figures: Queued) -> Waits:
    """Return how long the jobs waited."""
    return Waits(figures.waits, figures.queue_time)


@frozen(kw_only=True)
class Comparison:
    """A queue's state, and what it follows from."""

    state: str
    against: str | None
    """``BEFORE`` or ``EARLIER``; None when nothing was compared."""
    then: Waits
    now: Waits

    def facts(self) -> Facts:
        """Return it as JSON."""
        return {
            "state": self.state,
            "against": self.against,
            "now_ms": milliseconds(self.now.mean),
            "then_ms": milliseconds(self.then.mean),
        }


def answer(queues: Sequence[Facts]) -> Facts:
    """
    Return whether the queues of an application keep up.

    Args:
        queues: rows of the page, the worst first.

    Returns:
        ``state``: ``no``, ``yes`` or ``unknown``; the number of queues in each state, as ``queues``; and of how many jobs the waiting
        time is known.
    """
    states = Counter(queue["state"] for queue in queues)
    state = "yes" if states[STEADY] or states[RECOVERED] else "unknown"
    if states[STOPPED]:
        state = "unknown"
    return {
        "state": "no" if states[BEHIND] else state,
        "queues": {name: states[name] for name in _RANKS},
        "count": sum(queue["count"] for queue in queues),
        "wait_known": sum(queue["wait_known"] for queue in queues),
    }


def worst_first(queue: Facts) -> tuple[int, float, str]:
    """Return the key by which queues are sorted: by state, then the longest wait."""
    return _RANKS[queue["state"]], -(queue["wait_ms"] or 0.0), queue["queue"] or ""


def compare(
    now: Waits,
    then: Waits,
    between: Callable[[float, float], Waits],
    *,
    start: float,
    end: float,
    is_running: bool,
    ended_before: int,
) -> Comparison:
    """
    Compare how long the jobs of a queue wait with how long they waited before.

    Args:
        now: the jobs of the range.
        then: those of the period before, of the same length.
        between: returns those of the range from one Unix time until another.
        start: Unix time from which the range has reports.
        end: Unix time until which it has.
        is_running: jobs have ended, also some of which only the name is known.
        ended_before: the number of jobs that ended in the period before.
    """
    whole = then, now
    if not is_running:
        return Comparison(state=STOPPED if ended_before >= FEWEST else IDLE, against=None, then=then, now=now)
    if not now.known.count:
        return Comparison(state=UNKNOWN, against=None, then=then, now=now)
    against = BEFORE
    if then.known.count < FEWEST:
        against, middle = EARLIER, (start + end) / 2
        then, now = between(0.0, middle), between(middle, inf)
        start = middle
    if then.known.count < FEWEST or now.known.count < FEWEST:
        then, now = whole
        return Comparison(state=UNCOMPARED, against=None, then=then, now=now)
    state = STEADY
    if _is_longer(then, now):
        lately = between(end - (end - start) / 3, inf)
        is_still = lately.known.count < _FEWEST_LATELY or rank_z(then.known, lately.known) > _STILL
        state = BEHIND if is_still else RECOVERED
    return Comparison(state=state, against=against, then=then, now=now)


def _is_longer(then: Waits, now: Waits) -> bool:
    before, after = then.mean or 0.0, now.mean or 0.0
    return rank_z(then.known, now.known) >= CLEAR and after >= before * _TIMES and after - before >= _SECONDS
