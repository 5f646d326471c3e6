"""One web request or background job: how it begins, and how it ends.

Hot code: a finished transaction is handed to the agent's thread by one append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Final

from scout_core.clocks import perf_counter_ns, time
from scout_core.recording import context
from scout_core.recording.context import KEPT_OPEN, innermost_open, is_within, still_needed
from scout_core.recording.errors.raised import is_failure
from scout_core.recording.errors.recorded import leave
from scout_core.recording.joining import end_joined, join
from scout_core.recording.naming import type_name
from scout_core.recording.record import Record
from scout_core.recording.safety.abandoned import count_unended, give_up, is_abandoned
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.recording.safety.contain import lose, note_misuse, restore_tracer
from scout_core.recording.safety.never_ended import follow
from scout_core.recording.safety.silence import leave_forgotten
from scout_core.recording.span import Span
from scout_core.recording.trace.ids import join_trace, keep_only_trace, note_other_trace

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.measuring.report import Trace

_ids: Final = Random()  # noqa: S311  # an id is not a secret
"""Not the generator of the module ``random``: applications seed that one, and rely on the numbers that follow."""
_getrandbits = _ids.getrandbits
_get = context.current.get
_set = context.current.set

known_kinds: Final[set[int]] = set()
"""``id()`` of each class below ``Transaction`` that is the core's own, so that nothing has to contain what its methods raise."""


class Transaction(Record):
    """
    One web request (``Controller/…``) or background job (``Job/…``).

    Inside another transaction it is a span of that one. While no agent runs it does nothing.

    ``with transaction("Job/mail.send", queue="low") as t: …``, or ``@transaction("Job/mail.send")`` on a function.
    """

    __slots__ = ()

    @classmethod
    def from_trace(cls, trace: Trace) -> Transaction:
        """
        Return a finished transaction with everything that is known from a trace, for policies to score it again.

        Tags are cleaned and secrets masked, exceptions are classes of the same name, and of a web request only the path is known.
        """
        from scout_core.recording.from_trace import transaction_from  # needed only where traces are stored

        return transaction_from(trace)

    def detach(self, started_by: Transaction | None = None) -> Self:
        """
        Let it begin as a transaction of its own where another one is open, which it does not lengthen. Call it before it begins.

        The other one is current again when it ends. Its trace names the transaction that started it. After it has begun, this has no
        effect, and is counted in ``Counters.invalid_values``.

        Args:
            started_by: that transaction, when it has ended by then; None: the one that is open.
        """
        if self.start_ns:
            note_misuse(
                "detach() was called after the beginning, and has no effect", "call it before begin() or the with block"
            )
        elif not (started_by is None or issubclass(type(started_by), Transaction)):
            kind = type_name(type(started_by))
            note_misuse(
                f"detach() got {kind} as started_by, and has no effect",
                "pass the transaction that has started it, or None",
            )
        else:
            self.is_detached = True
            if started_by is not None:
                self.started_by = _id_of(started_by)
                join_trace(self, started_by)
        return self

    def _kind(self) -> Callable[..., Transaction]:
        kind = type(self)
        return (lambda operation, /, **tags: kind(operation, **tags).detach()) if self.is_detached else kind

    def begin(self) -> Self:
        """
        Start it, if it has not started, and make it current in this thread or task; ``with`` does the same.

        Keep the object, and end it with ``end``, which may be called anywhere: in another thread, task or callback. One that
        nobody has any more counts as interrupted as soon as another transaction begins where it is current.

        Returns:
            Itself.
        """
        if not self.start_ns:
            Transaction.__enter__(self)
            follow(self)
        return self

    def __enter__(self) -> Self:
        parent = before = None
        try:
            if _get() is not None:
                leave_forgotten(0)
                parent = innermost_open(_get())
                follower = None if parent is None else getattr(parent.transaction, "recorder", None)
                if follower is not None and parent.transaction.is_closed:  # type: ignore[union-attr]  # it has one
                    follower.end_sent()
                    parent = innermost_open(_get())
                follower = None  # it refers to the transaction, and references are counted below
            while parent is not None:
                if not is_abandoned(parent.transaction, parent is parent.transaction):  # type: ignore[arg-type]  # it has one
                    if not self.is_detached or not parent.transaction.start_ns:  # type: ignore[union-attr]  # hooks run
                        if self.environ is not None:
                            if parent.transaction.served is not None and join(self, parent.transaction):  # type: ignore[union-attr,arg-type]
                                return self
                            self._take_request()
                        elif hasattr(self, "own_trace"):
                            note_other_trace(self, parent.transaction)  # type: ignore[arg-type]
                        return Span.__enter__(self)
                    before = parent
                    break
                give_up(parent.transaction)  # type: ignore[arg-type]
                parent = innermost_open(parent)
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(self, error)
        tracer = context.tracer
        if tracer is None or self.start_ns:
            return self
        if collecting and is_collecting_here():
            tracer.in_collection += 1
            return self
        if before is not None:
            self.own_before = before
            self.started_by = self.started_by or _id_of(before.transaction)  # type: ignore[arg-type]  # it is open
            join_trace(self, before)
            outer: Transaction = before.transaction  # type: ignore[assignment]  # it is open
            if outer.own_before is not None:
                outer.own_before = still_needed(outer.own_before)  # no chain of those that have ended elsewhere
        elif (ended := _get()) is not None:
            self.own_before = still_needed(ended)  # is current again afterwards: a request that takes what follows
        self.tracer = tracer
        self.transaction = self
        self.id = _getrandbits(64)
        self.started = time()
        has_started = False
        try:
            _set(self)
            if tracer.on_request_start:
                self.is_closed = True  # nothing is recorded while hooks run: for spans, `silence.py` does this
                for hook in tracer.on_request_start:
                    hook(self, tracer.config)
                self.transaction, self.tracer = self, tracer  # a hook can have set them
                self.is_closed = self.ignored is not None
            if self.environ is not None:
                if self.ignored is None or tracer.wants_ignored:
                    self._take_request()
                else:
                    keep_only_trace(self)
            self.start_ns = start_ns = perf_counter_ns()
            self.own_noted_from = start_ns + tracer.noted_after_ns
            has_started = True
            tracer.begun += 1
        finally:
            if not has_started:  # a signal handler raised, and __exit__ will not be called
                self.is_closed = self.is_finished = True
                _set(self.own_before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.transaction is not self:
            if self.has_joined:
                end_joined(self, error)
                return
            if not self.id or self.is_handed_over:
                Span.__exit__(self, kind, error, trace)
                return
            self.transaction = self  # the application has set it
        goes_on = self.stop_ns == KEPT_OPEN
        if goes_on and kind is not None:
            self.stop_ns, goes_on = 0, False
        has_ended = False
        # Before anything else: a signal handler may raise at any call below. Later transactions must not nest in this one,
        # and it must be handed over once; `abandoned.py` has the case that not even this line is reached. Several threads may
        # end it at the same time: CPython switches threads at calls and jumps, so an assignment without any is a single step.
        if not goes_on:
            has_ended, self.is_finished = self.is_finished, True
            self.is_closed = True
            self.served = None
        try:
            innermost = _get()
            if (
                innermost is not None
                and (innermost.transaction is self or is_within(innermost, self))
                and not (collecting and is_collecting_here())
            ):
                _set(self.own_before)
                self.own_before = None  # `abandoned.py` counts what refers to the one around it; `end` sets it again
                if innermost is not self and not goes_on:
                    count_unended(innermost, self)
            if goes_on:
                follow(self)
                return
            if has_ended or self.stop_ns:
                return
            self.stop_ns = perf_counter_ns()
            if self.environ is not None:  # set too late for the start
                self._take_request()
            if kind is not None and is_failure(kind, error):
                leave(self, kind, error, trace)
            if self.raised is not None:
                self.raised.close()
            self.tracer.finish(self)
        except Exception as fault:  # noqa: BLE001  # see `contain.py`
            restore_tracer(self, fault)
        finally:
            if not (goes_on or has_ended or self.is_handed_over):
                self.stop_ns = self.stop_ns or perf_counter_ns()
                self.tracer.finish(self)


def _id_of(transaction: Transaction) -> int:
    """Return the id of what is recorded: this transaction, or the one that it is a span of; 0: neither is."""
    recorded = transaction if transaction.id else transaction.transaction
    return 0 if recorded is None or recorded.ignored is not None else recorded.id


def reseed(finished: Iterable[Transaction]) -> None:
    """Draw other ids than the process that this one was forked from, also for those that finished since."""
    _ids.seed()
    # The upper half stays: sampling has compared it with a rate.
    ids = {transaction.id: transaction.id >> 32 << 32 | _getrandbits(32) for transaction in finished}
    for transaction in finished:
        transaction.id = ids[transaction.id]
        transaction.started_by = ids.get(transaction.started_by, transaction.started_by)
