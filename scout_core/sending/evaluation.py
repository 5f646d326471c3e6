"""Finished transactions one by one: left out or counted, handed to plugins, and given a place for their trace or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import define, field, fields

from scout_core.boundary.hooks import RunTimeHooks
from scout_core.boundary.transaction_guard import TransactionGuard
from scout_core.measuring.figures import Brief, sum_by_operation
from scout_core.recording.ended import release
from scout_core.recording.limits.bounds import LONGEST_NAME
from scout_core.recording.safety.repair import put_right
from scout_core.recording.tracer import IGNORED, SAMPLED
from scout_core.recording.transaction import Transaction
from scout_core.sending.choice import Choice
from scout_core.sending.ledger import INTERNAL_ERROR, Tally
from scout_core.sending.request_facts import RequestFacts
from scout_core.text.plain import exact

if TYPE_CHECKING:
    from scout_core.config.config import Config
    from scout_core.measuring.error_report import ErrorReport


@define(eq=False)
class Evaluation:
    """Used on the agent's thread only."""

    config: Config
    hooks: RunTimeHooks
    log_failure: Callable[[str], None]
    """Logs the exception that is being handled."""
    contain_failure: Callable[[str], None]
    """The same; raises it again in tests."""
    examines: bool = field(init=False, default=False)
    """Whether every transaction is examined first: since a value of another type was found in one."""
    choice: Choice = field(init=False)
    _request_facts: RequestFacts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.choice = Choice(self.config, self.log_failure)
        self.read_options()
        self.use_hooks(self.hooks)

    def use_hooks(self, hooks: RunTimeHooks) -> None:
        """Replace all hooks: a plugin came or went, or an option changed."""
        self.hooks = hooks
        self.choice.use_hooks(hooks)
        if self.examines:
            self.examine()

    def read_options(self) -> None:
        """Read the options again; transactions that were evaluated before stay as they are."""
        self.choice.read_options()
        self._request_facts = RequestFacts(self.config, self._log_incomplete)

    def evaluate(self, transaction: Transaction, tally: Tally) -> None:
        """Evaluate a transaction, and add it to the tally once, whatever happens."""
        settled = tally.transactions
        try:
            self._evaluate(transaction, tally)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            if tally.transactions == settled and self.put_right(transaction) and self._counts(transaction, tally):
                return
            self.examine()
            self.contain_failure("a transaction could not be counted; further ones are only counted as dropped")
            if tally.transactions == settled:
                tally.drop(INTERNAL_ERROR)

    def put_right(self, transaction: Transaction) -> bool:
        """Replace every value of another type, and look for who leaves them; return whether there was one."""
        try:
            wrong = put_right(transaction)
        except Exception:  # noqa: BLE001  # foreign classes
            return False
        if wrong:
            self.report_wrong(wrong)
        return bool(wrong)

    def report_wrong(self, wrong: str) -> None:
        """Log that something has left a value of another type, and look for who does from now on."""
        self.examine()
        try:
            raise TypeError(f"something left {wrong}")
        except TypeError:
            self.log_failure(
                "a value of another type was replaced, and counted as invalid; hooks are examined from now on"
            )

    def examine(self) -> None:
        """Examine transactions before hooks get them, and hooks more closely, from now on: one may leave values of another type."""
        self.examines = True
        for hook in fields(RunTimeHooks):
            for guard in getattr(self.hooks, hook.name):
                if isinstance(guard, TransactionGuard):
                    guard.examine()

    def count(self, briefs: Sequence[Brief], tally: Tally) -> None:
        """
        Count and time transactions without looking into them.

        Hooks that only observe are not called: there is no time. Whether a plugin ignores a transaction changes figures.
        """
        counting = []
        for brief in briefs:
            transaction = brief[-1]
            if transaction is not None and self._is_ignored(transaction):
                tally.drop(SAMPLED if transaction.ignored == SAMPLED else IGNORED)
            else:
                counting.append(brief)
        by_operation, unreadable = sum_by_operation(counting)
        for _ in range(unreadable):
            tally.drop(INTERNAL_ERROR)
        for operation, figures in by_operation.items():
            self.choice.add_figures(operation, figures)
            tally.count_figures(figures.count)

    def _is_ignored(self, transaction: Transaction) -> bool:
        if transaction.ignored is None and self.hooks.ignore_transaction:
            self._request_facts.add_tags_to(transaction)
            self._ask_whether_to_ignore(transaction)
        return transaction.ignored is not None

    def _evaluate(self, transaction: Transaction, tally: Tally) -> None:
        hooks = self.hooks
        if self.examines:
            self.put_right(transaction)
        try:
            tally.queue_times_refused += self._request_facts.complete(transaction)
        except Exception:  # noqa: BLE001  # the application can set anything, such as a datetime for queued_at
            self._log_incomplete()
        if transaction.ignored is None and hooks.ignore_transaction:
            self._ask_whether_to_ignore(transaction)
        if transaction.ignored is not None:
            for guard in hooks.on_ignore:
                guard.run(transaction, transaction.ignored)
            tally.drop(SAMPLED if transaction.ignored == SAMPLED else IGNORED)
            release(transaction)
            return
        if transaction.raised is not None and hooks.on_error:
            for error in self._errors_of(transaction):
                for guard in hooks.on_error:
                    guard.run(transaction, error)
        for guard in hooks.on_request_end:
            guard.run(transaction)
        self._count(transaction, tally)

    def _counts(self, transaction: Transaction, tally: Tally) -> bool:
        """Try again to count a transaction; hooks have seen it."""
        try:
            self._count(transaction, tally)
        except Exception:  # noqa: BLE001  # the caller contains the failure
            return False
        return True

    def _errors_of(self, transaction: Transaction) -> tuple[ErrorReport, ...]:
        try:
            return transaction.errors
        except Exception:
            if self.put_right(transaction):
                return transaction.errors
            raise

    def _count(self, transaction: Transaction, tally: Tally) -> None:
        merged = sum(count for count, *_ in transaction.merged.values()) if transaction.merged else 0
        spans = len(transaction.spans) + merged
        loser = self.choice.add(transaction)
        tally.count(spans, merged)
        if loser is not None:
            release(loser)

    def _ask_whether_to_ignore(self, transaction: Transaction) -> None:
        for guard in self.hooks.ignore_transaction:
            answer = guard.run(transaction, self.config)
            if answer is True:
                transaction.ignored = f"by plugin {guard.plugin}"
                return
            if issubclass(type(answer), str) and (reason := exact(answer)):
                transaction.ignored = reason[:LONGEST_NAME]
                return

    def _log_incomplete(self) -> None:
        self.log_failure("a transaction is counted without the facts of its request or queue")
