"""State shared by everything that records in one process: limits, frozen hooks, and the inbox of the agent's thread.

Hot code. The inbox is a deque: appending takes no lock and wakes no thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scout_core.recording.bounding import LONGEST_FACTS, bound_transaction
from scout_core.recording.bounds import LONGEST_NAME
from scout_core.recording.contain import drop
from scout_core.recording.ended import placeholder, release
from scout_core.recording.silence import run_silently

if TYPE_CHECKING:
    from scout_core.boundary.hooks import RunTimeHooks
    from scout_core.config.config import Config
    from scout_core.measuring.figures import Brief
    from scout_core.recording.raised import Raised
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

SAMPLED: Final = "sampled"
"""The reason of a transaction that was not sampled."""
IGNORED: Final = "ignored"
"""The reason under which all other ignored transactions are counted."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""In the inbox, about; what comes beyond it is only counted and timed."""
MOST_BESIDE_A_BRIEF: Final = 3_000
"""Bytes of a transaction that waits in ``overflow`` with its tags and its request."""
MOST_BRIEFS: Final = 50_000
"""In ``overflow``: 10 MB, or 40 where a plugin may ignore them; more than a second at 30,000 a second."""


class Tracer:
    """The recording side of one process; a forked child gets its own."""

    __slots__ = (
        "config",
        "max_spans",
        "max_queue",
        "inbox",
        "unread",
        "overflow",
        "refused",
        "entered",
        "left",
        "values_cut",
        "tags_dropped",
        "after_stop",
        "is_retired",
        "ignored",
        "sampled",
        "late_spans",
        "in_collection",
        "interrupted",
        "failed",
        "fault",
        "in_hooks",
        "invalid_values",
        "silent",
        "on_request_start",
        "on_span",
        "wants_ignored",
        "may_ignore",
        "finished_placeholder",
        "ignored_placeholder",
        "on_first",
        "has_started",
        "has_no_agent",
    )

    config: Config
    max_spans: int
    max_queue: int
    inbox: deque[Transaction]
    """Finished transactions that the agent's thread has not taken yet."""
    overflow: deque[Brief]
    """Those for which the inbox had no room: they are only counted and timed."""
    unread: deque[Raised]
    """Exceptions whose text the agent's thread has not read yet; see ``raised.py``."""
    refused: int
    """Finished transactions for which neither the inbox nor ``overflow`` had room."""
    entered: int
    """Bytes that finished transactions held, about, when they came into the inbox."""
    left: int
    """The same of those that the agent's thread has taken."""
    values_cut: int
    """Texts that were shortened, and tags that were replaced by their type, so that the inbox is bounded; see ``bounds.py``."""
    tags_dropped: int
    """Tags beyond the limit of one span or transaction, and those of spans beyond the limit of text of one transaction."""
    after_stop: int
    """Transactions that were open when the agent stopped."""
    is_retired: bool
    """The process was forked, or the agent stopped."""
    ignored: int
    """Transactions ignored on the application's thread while no plugin implements ``on_ignore``."""
    sampled: int
    """The same for transactions that were not sampled."""
    late_spans: int
    """Spans that started or ended after their transaction."""
    in_collection: int
    """Spans and transactions that were not recorded because the garbage collector was running; see ``collecting.py``."""
    interrupted: int
    """Transactions that an exception of a signal handler left without an end; see ``abandoned.py``."""
    failed: int
    """Transactions that could not be handed over because of a fault of our own; see ``contain.py``."""
    fault: Exception | None
    """The first of these faults that has not been logged."""
    in_hooks: int
    """Spans and transactions that were not recorded because a hook began them."""
    invalid_values: int
    """Values of another type that were set as an operation or as tags, and are not used."""
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
    """Called once, when the first transaction ends: starts the agent's thread."""
    has_started: bool
    has_no_agent: bool
    """It records while the agent starts; see ``early.py``."""

    run_hooks = run_silently
    """Call hooks for a span; a method, so that ``span.py`` need not import what imports it."""

    def __init__(self, config: Config, on_first: Callable[[], object], hooks: RunTimeHooks | None = None) -> None:
        self.config = config
        self.read_limits()
        self.inbox = deque()
        self.overflow = deque()
        self.unread = deque()
        self.refused = 0
        self.entered = 0
        self.left = 0
        self.values_cut = 0
        self.tags_dropped = 0
        self.after_stop = 0
        self.is_retired = False
        self.ignored = 0
        self.sampled = 0
        self.late_spans = 0
        self.in_collection = 0
        self.interrupted = 0
        self.failed = 0
        self.fault = None
        self.in_hooks = 0
        self.invalid_values = 0
        self.use_hooks(hooks)
        self.finished_placeholder = placeholder(self)
        self.ignored_placeholder = placeholder(self, IGNORED)
        self.silent = placeholder(self)
        self.silent.is_finished = False  # otherwise a transaction would begin in it
        self.silent.start_ns = 0
        self.on_first = on_first
        self.has_started = False
        self.has_no_agent = False

    def adopt(self, config: Config, on_first: Callable[[], object]) -> None:
        """Become the tracer of an agent after recording without one; its hooks follow. See ``early.py``."""
        self.config = config
        self.on_first = on_first
        self.has_no_agent = False
        self.read_limits()

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

    def finish(self, transaction: Transaction) -> None:
        """Hand a finished transaction over to the agent's thread."""
        try:
            # ``+=`` on an int attribute makes no call, so CPython neither switches threads during it nor runs a signal handler between
            # it and the line before.
            if transaction.ignored is not None and not self.wants_ignored:
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
            elif len(self.inbox) < self.max_queue and self.entered - self.left < MOST_BYTES:
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
                self.entered += transaction.size if is_small else bound_transaction(transaction, self)
                transaction.is_handed_over = True
                self.inbox.append(transaction)
            else:
                self._finish_beyond(transaction)
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            drop(self, transaction, error)
        if not self.has_started:
            self.has_started = True
            self.on_first()

    def _finish_beyond(self, transaction: Transaction) -> None:
        """Hand over what figures need of a transaction for which the inbox has no room: its spans are most of its memory."""
        if self.is_retired:
            transaction.is_handed_over = True
            self.after_stop += 1
        elif transaction.ignored is not None:
            transaction.is_handed_over = True
            if transaction.ignored == SAMPLED:
                self.sampled += 1
            else:
                self.ignored += 1
        elif len(self.overflow) < MOST_BRIEFS:
            brief = brief_of(transaction)
            if self.may_ignore:
                transaction.raised = transaction.merged = None
                transaction.spans = []
                if bound_transaction(transaction, self) > MOST_BESIDE_A_BRIEF:
                    transaction.own_tags = {}
                    transaction.own_request = None
            else:
                brief = *brief[:-1], None
            transaction.is_handed_over = True
            self.overflow.append(brief)
        else:
            transaction.is_handed_over = True
            self.refused += 1
        release(transaction)

    def read_exceptions(self) -> None:
        """Read the texts of exceptions, so that they are freed. On the agent's thread."""
        while self.unread:
            _ = self.unread.popleft().message

    def count_late(self, transaction: Transaction) -> None:
        """Count a span that came after the end of its transaction, unless that was ignored, or from a hook."""
        if not transaction.start_ns:
            self.in_hooks += 1
        elif transaction.ignored is None:
            self.late_spans += 1

    def retire(self) -> None:
        """Accept nothing more: the process was forked, or the agent stopped."""
        self.unread.clear()
        self.is_retired = True
        self.max_queue = 0
        self.max_spans = 0
        self.on_span = ()
        self.on_request_start = ()
        self.has_started = True


def brief_of(transaction: Transaction) -> Brief:
    """Return what figures need of a transaction, and itself."""
    return transaction.own_operation, transaction.start_ns, transaction.stop_ns, transaction.is_error, transaction
