"""State shared by everything that records in one process: limits, frozen hooks, and the inbox of the agent's thread.

Hot code. The inbox is a deque: appending takes no lock and wakes no thread.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scout_core.fork_lock import importing
from scout_core.recording.counted import Counted
from scout_core.recording.ended import closed_to_all, cut_off, placeholder, release
from scout_core.recording.errors.ignored import IgnoredErrors
from scout_core.recording.limits.bounding import LONGEST_FACTS, bound_transaction
from scout_core.recording.limits.bounds import LONGEST_NAME
from scout_core.recording.limits.overflow import hand_over_beyond
from scout_core.recording.repeats import FIRST_NOTED, repeats_noted_after
from scout_core.recording.safety.contain import drop
from scout_core.recording.safety.never_ended import KeptOpen, count_freed, let_go, stop_following
from scout_core.recording.safety.repair import put_right
from scout_core.recording.safety.silence import run_silently
from scout_core.signals import is_from_signal_handler

if TYPE_CHECKING:
    from scout_core.application_code import ApplicationCode
    from scout_core.boundary.hooks import RunTimeHooks
    from scout_core.config.config import Config
    from scout_core.measuring.figures import Brief
    from scout_core.recording.errors.recorded import RecordedError
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction
    from scout_core.text.hosts import HostList

SAMPLED: Final = "sampled"
"""The reason of a transaction that was not sampled."""
IGNORED: Final = "ignored"
"""The reason under which all other ignored transactions are counted."""
NEVER_SLOW: Final = 1 << 63
"""Nanoseconds: 292 years."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""In the inbox, about; what comes beyond it is only counted and timed."""


class Tracer(Counted):
    """The recording side of one process; a forked child gets its own."""

    __slots__ = (
        "config", "max_spans", "max_queue", "slow_ns", "noted_after_ns", "repeats_from", "application_code",
        "wants_application_code", "trace_hosts", "trusts_callers", "ignored_errors", "records_errors", "inbox", "unread",
        "overflow", "is_retired", "kept_open", "freed", "fault", "found_wrong", "unfollowed", "misused", "silent", "on_request_start",
        "on_span", "wants_ignored", "may_ignore", "finished_placeholder", "ignored_placeholder", "on_first",
        "is_awaiting_first", "has_no_agent",
    )  # fmt: skip

    config: Config
    max_spans: int
    max_queue: int
    slow_ns: int
    """Nanoseconds from which the calls around a span are noted."""
    noted_after_ns: int
    """Nanoseconds after the start of a transaction before which nothing of its spans is noted."""
    repeats_from: int
    """Spans of a transaction before the first whose line may be noted."""
    wants_application_code: bool
    """A transaction has repeated a call since the options were read."""
    application_code: ApplicationCode | None
    """The application's files; None until a transaction has repeated a call."""
    trace_hosts: HostList | None
    """Hosts that are sent trace headers; None: all."""
    trusts_callers: bool
    """Whether web requests continue the trace of their caller."""
    ignored_errors: IgnoredErrors | None
    """Exceptions that are not errors; None: all are."""
    records_errors: bool
    """Whether errors are recorded, and not only counted as failed transactions."""
    inbox: deque[Transaction]
    """Finished transactions that the agent's thread has not taken yet."""
    overflow: deque[Brief]
    """Those for which the inbox had no room: they are only counted and timed."""
    unread: deque[RecordedError]
    """Errors whose texts the agent's thread has not read yet; see ``recorded_errors.py``."""
    is_retired: bool
    """The process was forked, or the agent stopped."""
    kept_open: dict[int, KeptOpen]
    """References, by their ``id()``, to what is open until ``end`` is called; see ``never_ended.py``."""
    freed: deque[KeptOpen]
    """Those whose span or transaction was freed, and which have not been counted."""
    fault: Exception | None
    """The first of these faults that has not been logged."""
    found_wrong: str
    """Describes the first value of another type that the agent's thread does not know of; empty: all values were right."""
    unfollowed: dict[str, bool]
    """
    Decorated functions with results after which their spans do not last: ``lock returns a context manager (Lock)``, to whether it
    has been logged.
    """
    misused: dict[str, bool]
    """Calls of spans and transactions that had no effect, with what to do instead, to whether they have been logged."""
    silent: Transaction
    """The closed transaction that is current while hooks run; see ``silence.py``."""
    on_request_start: tuple[Callable[[Transaction, Config], object], ...]
    on_span: tuple[Callable[[Span], object], ...]
    wants_ignored: bool
    """Whether a plugin implements ``on_ignore``, so that ignored transactions enter the inbox too."""
    may_ignore: bool
    """Whether a plugin implements ``ignore_transaction``."""
    finished_placeholder: Transaction
    """Replaces every transaction that the agent's thread is done with; see ``ended.placeholder``."""
    ignored_placeholder: Transaction
    """The same for ignored transactions."""
    on_first: Callable[[], object]
    """Starts the agent's thread."""
    is_awaiting_first: bool
    """``on_first`` will be called when the next transaction ends."""
    has_no_agent: bool
    """It records while the agent starts; see ``early.py``."""

    run_hooks = run_silently
    """Call hooks for a span; a method, so that ``span.py`` need not import what imports it."""

    def __init__(
        self,
        config: Config,
        on_first: Callable[[], object],
        hooks: RunTimeHooks | None = None,
        *,
        noted_by: Callable[[Transaction, Config], object] | None = None,
    ) -> None:
        """``noted_by`` is called with each transaction that starts, until an agent takes over; None: the agent is there."""
        super().__init__()
        self.config = config
        self.read_limits()
        self.inbox = deque()
        self.overflow = deque()
        self.unread = deque()
        self.is_retired = False
        self.kept_open = {}
        self.freed = deque()
        self.fault = None
        self.found_wrong = ""
        self.unfollowed = {}
        self.misused = {}
        self.use_hooks(hooks)
        self.has_no_agent = noted_by is not None
        if noted_by is not None:
            self.on_request_start = (noted_by,)
        self.finished_placeholder = placeholder(self)
        self.ignored_placeholder = placeholder(self, IGNORED)
        self.silent = closed_to_all(self)
        self.on_first = on_first
        self.is_awaiting_first = False

    def adopt(self, config: Config, on_first: Callable[[], object]) -> None:
        """Become the tracer of an agent after recording without one; its hooks follow. See ``early.py``."""
        self.config = config
        self.on_first = on_first
        self.has_no_agent = False
        self.read_limits()

    def await_first(self) -> None:
        """Call ``on_first`` when the next transaction ends."""
        self.is_awaiting_first = True

    def await_none(self) -> None:
        """Start nothing: what is recorded is evaluated by hand, or waits."""
        self.is_awaiting_first = False

    def use_hooks(self, hooks: RunTimeHooks | None) -> None:
        """Replace all hooks: a plugin came or went, or an option changed. None: no hooks."""
        self.on_request_start = tuple(guard.run for guard in hooks.on_request_start) if hooks else ()
        self.on_span = tuple(guard.run for guard in hooks.on_span) if hooks else ()
        self.wants_ignored = bool(hooks and hooks.on_ignore)
        self.may_ignore = bool(hooks and hooks.ignore_transaction)

    def read_limits(self) -> None:
        """Read the limits from the configuration again."""
        self.max_spans = self.config.get("max_spans")
        self.max_queue = self.config.get("max_queue")
        self.application_code = None  # its options may have changed
        self.wants_application_code = False
        self.slow_ns = round(self.config.get("slow_span_seconds") * 1e9) or NEVER_SLOW
        looks_for_repeats = self.config.get("n_plus_one_calls") > 0
        self.repeats_from = FIRST_NOTED - 1 if looks_for_repeats else sys.maxsize
        repeats_ns = repeats_noted_after(self.config.get("n_plus_one_seconds")) if looks_for_repeats else NEVER_SLOW
        self.noted_after_ns = min(self.slow_ns, repeats_ns)
        self.trusts_callers = self.config.get("trust_incoming_trace")
        listed = self.config.get("errors_ignored_exceptions")
        self.ignored_errors = IgnoredErrors(listed) if listed else None
        self.records_errors = self.config.get("errors_enabled")
        self._filter_names()
        included, excluded = self.config.get("trace_hosts"), self.config.get("trace_hosts_exclude")
        if "*" in included and not excluded:
            self.trace_hosts = None
            return
        with importing:
            from scout_core.text.hosts import HostList  # rarely needed
        self.trace_hosts = HostList(included, excluded)

    def _filter_names(self) -> None:
        names = self.config.get("filtered_names")
        if names or "scout_core.text.listed" in sys.modules:  # of another agent
            with importing:
                from scout_core.text.listed import filter_names  # rarely needed
            filter_names(names)

    def finish(self, transaction: Transaction) -> None:
        """Hand a finished transaction over to the agent's thread."""
        try:
            # ``+=`` on an int attribute makes no call, so CPython neither switches threads during it nor runs a signal handler between
            # it and the line before.
            if transaction.ignored is not None and not (self.wants_ignored and self._has_room()):
                is_sampled = transaction.ignored == SAMPLED
                transaction.is_handed_over = True
                if is_sampled:
                    self.sampled += 1
                else:
                    self.ignored += 1
                if transaction.spans:
                    release(transaction)
                else:
                    transaction.transaction = self.ignored_placeholder
            elif (
                len(self.inbox) < self.max_queue and self.entered - self.left < MOST_BYTES
            ):  # as `_has_room`, without a call
                request = transaction.own_request
                try:
                    is_small = (
                        not transaction.spans
                        and not transaction.own_tags
                        and len(transaction.own_operation) <= LONGEST_NAME
                        and (request is None or len("".join(request)) < LONGEST_FACTS)
                    )
                except TypeError:  # facts that are not texts
                    is_small = False
                size = transaction.size if is_small else bound_transaction(transaction, self)
                self.entered += size  # not in one line with the call, during which other threads add to it
                transaction.is_handed_over = True
                self.inbox.append(transaction)
            else:
                hand_over_beyond(self, transaction)
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            if not transaction.is_handed_over and not is_from_signal_handler(error) and self._put_right(transaction):
                self.finish(transaction)  # once: nothing is wrong any more
                return
            drop(self, transaction, error)
        if self.kept_open:
            let_go(transaction)
        if self.is_awaiting_first:
            self.is_awaiting_first = False
            self.on_first()

    def _put_right(self, transaction: Transaction) -> bool:
        """Whether a value of another type was in the way, which is replaced now."""
        try:
            wrong = put_right(transaction, for_inbox=True)
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            return False
        self.found_wrong = self.found_wrong or wrong
        return bool(wrong)

    def _has_room(self) -> bool:
        return len(self.inbox) < self.max_queue and self.entered - self.left < MOST_BYTES

    def read_exceptions(self) -> None:
        """Read the texts of exceptions, so that they are freed. On the agent's thread."""
        while self.unread:
            self.unread.popleft().read()

    def forget_parent(self) -> tuple[Transaction, ...]:
        """In a forked child that records with this tracer: what the parent has open is not open here. Return what has ended here."""
        self.begun = len(self.inbox) + len(self.overflow)
        return tuple(self.inbox)

    def count_open_spans(self) -> None:
        """Count the spans that are kept open while the agent stops; those of an open transaction are lost with it."""
        spans = [reference() for reference in list(self.kept_open.values()) if not reference.is_transaction]
        transactions = [span.transaction for span in spans if span is not None]
        self.spans_open_at_stop = sum(
            transaction is not None and transaction.is_finished for transaction in transactions
        )

    def retire(self) -> None:
        """Accept nothing more: the process was forked, or the agent stopped."""
        self.unread.clear()
        self.is_retired = True
        count_freed(self)
        for span in stop_following(self):
            if span is span.transaction and cut_off(span.transaction):
                self.after_stop += 1
        self.max_queue = 0
        self.max_spans = 0
        self.on_span = ()
        self.on_request_start = ()
        self.is_awaiting_first = False
