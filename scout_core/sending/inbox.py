"""The work on finished transactions: takes them from where the application's threads left them, and has each evaluated or counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from attrs import define

from scout_core.boundary.guard import Guard
from scout_core.boundary.guard_log import log_changes, log_misused, log_unfollowed
from scout_core.clocks import monotonic
from scout_core.recording.limits.overflow import MOST_BRIEFS, brief_of
from scout_core.recording.safety.silence import Silence
from scout_core.sending.evaluation import Evaluation
from scout_core.sending.faults import Faults
from scout_core.sending.ledger import Ledger, Tally
from scout_core.threads import breathe

if TYPE_CHECKING:
    from scout_core.measuring.figures import Brief
    from scout_core.recording.transaction import Transaction

MANY_BRIEFS: Final = 1_000
BATCH: Final = 100
FEW: Final = 5
"""The same when the process ends: the time that is left is looked at more often."""


@define(eq=False)
class Inbox:
    """
    Used on one thread at a time: the agent's, or in tests the one that drives it.

    Args:
        guards: returns those of all plugins, whose changes are logged.
        is_in_child: whether this is a forked child, in which nothing of the parent's is evaluated.
    """

    ledger: Ledger
    evaluation: Evaluation
    faults: Faults
    guards: Callable[[], Iterable[Guard]]
    is_in_child: Callable[[], bool]
    _end_of_work: float = inf
    """Monotonic seconds after which the rest of the inbox is only counted, so that there is time to send."""
    _end_of_figures: float = inf
    """Monotonic seconds after which it is left as it is."""

    def hurry(self, deadline: float) -> None:
        """From now on, leave time to send until the deadline (monotonic seconds)."""
        now = monotonic()
        left = max(0.0, deadline - now)
        self._end_of_work = now + left / 2
        self._end_of_figures = now + left * 3 / 4

    def work(self, until: float = inf) -> None:
        """
        Evaluate everything that is there.

        Args:
            until: monotonic seconds after which the rest is left: applications can be faster than this thread.
        """
        with Silence(self.ledger.tracer):
            self._log_fault()
            self._work(until)
            if self.ledger.tracer.wants_application_code:
                from scout_core.recording.repeated import know_application  # loaded with the first response

                know_application(self.ledger.tracer)
            self._report_wrong()
            log_changes(self.guards())
            log_unfollowed(self.ledger.tracer.unfollowed)
            log_misused(self.ledger.tracer.misused)

    def _work(self, until: float) -> None:
        tracer = self.ledger.tracer
        while tracer.inbox or tracer.overflow:
            if tracer.overflow:
                self._count_overflow()
            tracer.read_exceptions()
            batch = self.ledger.take(BATCH if self._end_of_work == inf else FEW)
            with self.ledger.settling(batch) as tally:
                if monotonic() < self._end_of_work:
                    self._evaluate(batch, tally)
                else:
                    self._count([brief_of(transaction) for transaction in batch], tally)
            self.ledger.names_merged = self.evaluation.choice.names_merged
            breathe()
            if monotonic() >= min(until, self._end_of_figures):
                break

    def _evaluate(self, batch: Sequence[Transaction], tally: Tally) -> None:
        for transaction in batch:
            if self.is_in_child():
                break
            self.evaluation.evaluate(transaction, tally)
            if len(self.ledger.tracer.overflow) > MANY_BRIEFS:  # a hook takes long
                self._count_overflow()

    def _count_overflow(self) -> None:
        """Count what the inbox had no room for, which takes a twentieth of the time; what comes meanwhile waits."""
        for _ in range(MOST_BRIEFS // MANY_BRIEFS):
            if not self.ledger.tracer.overflow:
                break
            briefs = self.ledger.take_briefs(MANY_BRIEFS)
            with self.ledger.settling(briefs) as tally:
                self._count(briefs, tally)
            breathe()

    def _count(self, briefs: Sequence[Brief], tally: Tally) -> None:
        try:
            self.evaluation.count(briefs, tally)
        except Exception:  # noqa: BLE001  # of our own
            self.faults.contain("transactions could not be counted; further ones are only counted as dropped")

    def _log_fault(self) -> None:
        """Log what kept a transaction from coming into the inbox."""
        fault, self.ledger.tracer.fault = self.ledger.tracer.fault, None
        if fault is not None:
            try:
                raise fault
            except Exception:  # noqa: BLE001  # of our own
                self.faults.contain("a transaction could not be recorded; further ones are only counted as dropped")

    def _report_wrong(self) -> None:
        """Have hooks examined when a value of another type was found, on whichever thread."""
        wrong, self.ledger.tracer.found_wrong = self.ledger.tracer.found_wrong, ""
        if wrong:
            self.evaluation.report_wrong(wrong)
