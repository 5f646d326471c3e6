"""The place of every finished transaction, so that ``finished = exported + dropped + queued`` at every moment.

Each move from one place to the next happens under one lock, which only the agent's and the exporters' threads take;
the places are counted separately, so a transaction that got lost would show.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeVar

from scout_core.log import logging_failures
from scout_core.recording.safety.never_ended import count_freed
from scout_core.recording.tracer import IGNORED, SAMPLED

if TYPE_CHECKING:
    from scout_core.measuring.figures import Brief
    from scout_core.measuring.report import Counters
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

_Item = TypeVar("_Item")
INBOX_FULL: Final = "inbox full"
INTERRUPTED: Final = "interrupted"
"""By an exception of a signal handler while it began or ended."""
INTERNAL_ERROR: Final = "internal error"
NEVER_ENDED: Final = "kept open and never ended"
OPEN_AT_STOP: Final = "open when the agent stopped"
NOT_SENT: Final = "not sent before the process ended"
MAX_REASONS: Final = 50
"""Reasons counted separately for one exporter; further ones are counted as ``other``."""


class Tally:
    """Results for a batch of transactions, which are in hand until the ledger settles them all in one step."""

    __slots__ = ("counted", "dropped", "figures_only", "queue_times_refused", "spans", "spans_merged", "transactions")

    def __init__(self) -> None:
        self.transactions = 0
        self.counted = 0
        """Those in the aggregates of the period."""
        self.figures_only = 0
        """Those of ``counted`` whose spans and trace were not examined."""
        self.dropped: Counter[str] = Counter()
        """Reason to those that are in no figure."""
        self.queue_times_refused = 0
        """Those of jobs that cannot be right."""
        self.spans = 0
        self.spans_merged = 0

    def drop(self, reason: str) -> None:
        """Add a transaction that is in no figure."""
        self.transactions += 1
        self.dropped[reason] += 1

    def count(self, spans: int, merged: int) -> None:
        """Add a transaction that is in the aggregates of the period."""
        self.transactions += 1
        self.counted += 1
        self.spans += spans
        self.spans_merged += merged

    def count_figures(self, transactions: int) -> None:
        """Add transactions that are in the aggregates of the period without their spans."""
        self.transactions += transactions
        self.counted += transactions
        self.figures_only += transactions


class Ledger:
    """The places of all transactions of one process."""

    def __init__(self, tracer: Tracer) -> None:
        self.lock = RLock()  # a signal's handler that asks for the counters may interrupt somebody who does
        self.tracer = tracer
        self.taken = 0
        """From the inbox and the overflow."""
        self.in_hand = 0
        """Taken, and not yet decided on."""
        self.in_period = 0
        """Counted in the aggregates of the open period."""
        self.dropped: Counter[str] = Counter()
        """Before they reached a report; the same for all exporters."""
        self.exported: Counter[str] = Counter()
        self.dropped_by: dict[str, Counter[str]] = {}
        """Exporter to reason to count."""
        self.waiting: Counter[str] = Counter()
        """In reports that an exporter has not delivered."""
        self.figures_only = 0
        self.left_out: dict[str, Counter[str]] = {}
        """Exporter to the parts of its reports that did not fit."""
        self.spans = 0
        self.spans_merged = 0
        self.queue_times_refused = 0
        self.names_merged = 0
        self.errors_merged = 0
        self.operations_merged = 0
        self.tags_dropped = 0
        self.traces_lost = 0
        self.groups_left_out = 0
        self._is_stopping = False
        self._logging_failures_before = logging_failures.count
        """In another process, before this one was forked from it."""

    def take(self, most: int) -> list[Transaction]:
        """Move what lies in the inbox into our hands."""
        batch = self._take(self.tracer.inbox, most)
        sizes = [transaction.size for transaction in batch]
        try:
            left = sum(sizes)
        except TypeError:  # the application has set one since
            left = sum(size for size in sizes if isinstance(size, int))
        tracer = self.tracer
        tracer.left += left
        if type(tracer.entered) is not int or type(tracer.left) is not int:
            # It has set a NaN: the inbox would stay full forever. What waits in it is not counted.
            tracer.entered = tracer.left = 0
        return batch

    def take_briefs(self, most: int) -> list[Brief]:
        """The same for the transactions that are only counted."""
        return self._take(self.tracer.overflow, most)

    def _take(self, source: deque[_Item], most: int) -> list[_Item]:
        with self.lock:
            batch = [source.popleft() for _ in range(min(len(source), most))]
            self.taken += len(batch)
            self.in_hand += len(batch)
        return batch

    @contextmanager
    def settling(self, taken: Sized) -> Iterator[Tally]:
        """Give a tally for what was taken, and settle it; what was not added to it by then is dropped as an internal error."""
        tally = Tally()
        try:
            yield tally
        finally:
            for _ in range(len(taken) - tally.transactions):
                tally.drop(INTERNAL_ERROR)
            self.settle(tally)

    def settle(self, tally: Tally) -> None:
        """Move transactions that were in hand to where the tally has them."""
        with self.lock:
            self.in_hand -= tally.transactions
            self.in_period += tally.counted
            self.figures_only += tally.figures_only
            self.dropped.update(tally.dropped)
            self.spans += tally.spans
            self.spans_merged += tally.spans_merged
            self.queue_times_refused += tally.queue_times_refused

    def close_period(self, exporters: list[str]) -> int:
        """The period's transactions are in a report now, which waits for each exporter. Returns how many they are."""
        with self.lock:
            closed, self.in_period = self.in_period, 0
            if not exporters:
                self.dropped["no exporter"] += closed
            for name in exporters:
                self.waiting[name] += closed
            return closed

    def delivered(self, exporter: str, count: int) -> None:
        """A report with so many transactions has arrived."""
        with self.lock:
            self.waiting[exporter] -= count
            self.exported[exporter] += count

    def lost(self, exporter: str, count: int, reason: str) -> None:
        """A report with so many transactions will not arrive."""
        with self.lock:
            self.waiting[exporter] -= count
            reasons = self.dropped_by.setdefault(exporter, Counter())
            if reason not in reasons and len(reasons) >= MAX_REASONS:
                reason = "other"
            reasons[reason] += count

    def leave_out(self, exporter: str, parts: Mapping[str, int]) -> None:
        """So many parts did not fit into a report."""
        with self.lock:
            self.left_out.setdefault(exporter, Counter()).update(parts)

    def count_open(self) -> None:
        """Count from now on what is still open as dropped: the agent stops, and the next report is the last."""
        if not self._is_stopping:
            self.tracer.count_open_spans()
        self._is_stopping = True

    def abandon(self) -> None:
        """Drop everything that waits: nothing is evaluated any more."""
        batch: Sequence[object]
        while batch := self.take(1_000) or self.take_briefs(1_000):
            with self.lock:
                self.in_hand -= len(batch)
                self.dropped[NOT_SENT] += len(batch)

    def _dropped_at_once(self, in_inbox: int) -> Counter[str]:
        """Those that never came into the inbox, by reason."""
        tracer = self.tracer
        count_freed(tracer)
        dropped = Counter(
            {
                INBOX_FULL: tracer.refused,
                OPEN_AT_STOP: tracer.after_stop,
                IGNORED: tracer.ignored,
                SAMPLED: tracer.sampled,
                INTERRUPTED: tracer.interrupted,
                NEVER_ENDED: tracer.never_ended,
                INTERNAL_ERROR: tracer.failed,
            }
        )
        if self._is_stopping:
            dropped[OPEN_AT_STOP] += max(0, tracer.begun - self.taken - in_inbox - dropped.total())
        return +dropped

    @property
    def has_any(self) -> bool:
        """Whether a transaction has ended in this process, or is lost because the agent stops."""
        tracer = self.tracer
        in_inbox = len(tracer.inbox) + len(tracer.overflow)
        return bool(self.taken or in_inbox or self._dropped_at_once(in_inbox))

    def counters(self, exporter: str = "") -> Counters:
        """Return how many transactions went where, for one exporter; without a name, as without exporters."""
        from scout_core.measuring.report import Counters  # with the first report

        with self.lock:
            dropped = self.dropped + self.dropped_by.get(exporter, Counter())
            # The inbox grows while we look; taken once, so both sides of the equation see the same.
            in_inbox = len(self.tracer.inbox) + len(self.tracer.overflow)
            at_once = self._dropped_at_once(in_inbox)
            dropped.update(at_once)
            return Counters(
                finished=self.taken + in_inbox + at_once.total(),
                exported=self.exported[exporter],
                queued=in_inbox + self.in_hand + self.in_period + self.waiting[exporter],
                dropped=dict(dropped),
                figures_only=self.figures_only,
                spans=self.spans,
                spans_merged=self.spans_merged,
                late_spans=self.tracer.late_spans,
                spans_never_ended=self.tracer.spans_never_ended,
                spans_open_at_stop=self.tracer.spans_open_at_stop,
                unfollowed_results=len(self.tracer.unfollowed),
                in_collection=self.tracer.in_collection,
                in_hooks=self.tracer.in_hooks,
                invalid_values=self.tracer.invalid_values,
                headers_unsent=self.tracer.headers_unsent,
                errors_ignored=self.tracer.errors_ignored,
                queue_times_refused=self.queue_times_refused,
                names_merged=self.names_merged,
                errors_merged=self.errors_merged,
                operations_merged=self.operations_merged,
                values_cut=self.tracer.values_cut,
                tags_dropped=self.tags_dropped + self.tracer.tags_dropped,
                traces_lost=self.traces_lost,
                groups_left_out=self.groups_left_out,
                logging_failures=logging_failures.count - self._logging_failures_before,
                left_out=dict(self.left_out.get(exporter, {})),
            )
