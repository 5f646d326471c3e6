"""State shared by everything that records in one process: limits, frozen hooks, and the inbox of the agent's thread.

Hot code. The inbox is a deque: appending takes no lock and wakes no thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import ref

from scout_core.recording.counted import Counted
from scout_core.recording.ended import closed_to_all, cut_off, placeholder, release
from scout_core.recording.limits.bounding import LONGEST_FACTS, bound_transaction
from scout_core.recording.limits.bounds import LONGEST_NAME
from scout_core.recording.limits.overflow import hand_over_beyond
from scout_core.recording.safety.contain import drop
from scout_core.recording.safety.repair import put_right
from scout_core.recording.safety.silence import run_silently
from scout_core.signals import is_from_signal_handler
from scout_core.text.hosts import HostList

if TYPE_CHECKING:
    from scout_core.boundary.hooks import RunTimeHooks
    from scout_core.config.config import Config
    from scout_core.measuring.figures import Brief
    from scout_core.recording.errors.recorded import RecordedError
    from scout_core.recording.span import Span
    from scout_core.recording.transaction import Transaction

SAMPLED: Final = "sampled"
"""The reason of a transaction that was not sampled."""
IGNORED: Final = "ignored"
"""The reason under which all other ignored transactions are counted."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""In the inbox, about; what comes beyond it is only counted and timed."""


class Tracer(Counted):
    """The recording side of one process; a forked child gets its own."""

    __slots__ = (
        "config",
        "max_spans",
        "max_queue",
        "trace_hosts",
        "trusts_callers",
        "inbox",
        "unread",
        "overflow",
        "is_retired",
        "kept_open",
        "fault",
        "found_wrong",
        "silent",
        "on_request_start",
        "on_span",
        "wants_ignored",
        "may_ignore",
        "finished_placeholder",
        "ignored_placeholder",
        "on_first",
        "is_awaiting_first",
        "has_no_agent",
    )

    config: Config
    max_spans: int
    max_queue: int
    trace_hosts: HostList | None
    """Hosts that are sent trace headers; None: all."""
    trusts_callers: bool
    """Whether web requests continue the trace of their caller."""
    inbox: deque[Transaction]
    """Finished transactions that the agent's thread has not taken yet."""
    overflow: deque[Brief]
    """Those for which the inbox had no room: they are only counted and timed."""
    unread: deque[RecordedError]
    """Errors whose texts the agent's thread has not read yet; see ``recorded_errors.py``."""
    is_retired: bool
    """The process was forked, or the agent stopped."""
    kept_open: dict[int, ref[Transaction]]
    """Transactions that outlive their block, by ``id()``; see ``Transaction.keep_open``."""
    fault: Exception | None
    """The first of these faults that has not been logged."""
    found_wrong: str
    """Describes the first value of another type that the agent's thread does not know of; empty: all values were right."""
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
        self.fault = None
        self.found_wrong = ""
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
        self.trusts_callers = self.config.get("trust_incoming_trace")
        included, excluded = self.config.get("trace_hosts"), self.config.get("trace_hosts_exclude")
        self.trace_hosts = None if "*" in included and not excluded else HostList(included, excluded)

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
                self.entered += transaction.size if is_small else bound_transaction(transaction, self)
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
            self.kept_open.pop(id(transaction), None)
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

    def keep(self, transaction: Transaction) -> None:
        """Follow a transaction that outlives its block, so that it is counted should nothing ever end it."""
        number = id(transaction)
        self.kept_open[number] = ref(transaction, partial(self._count_freed, number))

    def _count_freed(self, number: int, _: object) -> None:
        if self.kept_open.pop(number, None) is not None:
            self.never_ended += 1

    def read_exceptions(self) -> None:
        """Read the texts of exceptions, so that they are freed. On the agent's thread."""
        while self.unread:
            self.unread.popleft().read()

    def retire(self) -> None:
        """Accept nothing more: the process was forked, or the agent stopped."""
        self.unread.clear()
        for kept in list(self.kept_open.values()):
            transaction = kept()
            if transaction is not None and not transaction.is_finished:
                cut_off(transaction)
                self.after_stop += 1
        self.kept_open.clear()
        self.is_retired = True
        self.max_queue = 0
        self.max_spans = 0
        self.on_span = ()
        self.on_request_start = ()
        self.is_awaiting_first = False
