"""One web request or background job: how it begins, and how it ends.

Hot code: a finished transaction is handed to the agent's thread by one append.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Final

from scout_core.clocks import perf_counter_ns, time
from scout_core.recording import context
from scout_core.recording.abandoned import give_up, is_abandoned
from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.contain import lose, restore_tracer
from scout_core.recording.raised import is_failure
from scout_core.recording.record import Record
from scout_core.recording.recorded_errors import RecordedErrors
from scout_core.recording.silence import is_left_by_hook
from scout_core.recording.span import Span
from scout_core.recording.trace_ids import keep_only_trace

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.measuring.report import Trace

_ids: Final = Random()  # noqa: S311  # an id is not a secret
"""Not the generator of the module ``random``: applications seed that one, and rely on the numbers that follow."""
_getrandbits = _ids.getrandbits
_get = context.current.get
_set = context.current.set


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

    def __enter__(self) -> Self:
        try:
            parent = _get()
            if parent is not None and not parent.transaction.is_finished:  # type: ignore[union-attr]  # a current span has one
                if not is_abandoned(parent.transaction, parent is parent.transaction):  # type: ignore[arg-type]
                    if self.environ is not None:
                        self._take_request()
                    return Span.__enter__(self)
                give_up(parent.transaction)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(self, error)
        tracer = context.tracer
        if tracer is None or self.start_ns:
            return self
        if collecting and is_collecting_here():
            tracer.in_collection += 1
            return self
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
            self.start_ns = perf_counter_ns()
            has_started = True
        finally:
            if not has_started:  # a signal handler raised, and __exit__ will not be called
                self.is_closed = self.is_finished = True
                _set(None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.transaction is not self:
            if not self.id or self.is_handed_over:
                Span.__exit__(self, kind, error, trace)
                return
            self.transaction = self  # the application has set it
        # Before anything else: a signal handler may raise at any call below. Later transactions must not nest in this one,
        # and it must be handed over once; `abandoned.py` has the case that not even this line is reached.
        self.is_closed = self.is_finished = True
        try:
            innermost = _get()
            if (
                innermost is not None
                and (innermost.transaction is self or is_left_by_hook(innermost, self))
                and not (collecting and is_collecting_here())
            ):
                _set(None)
            if self.stop_ns:
                return
            self.stop_ns = perf_counter_ns()
            if self.environ is not None:  # set too late for the start
                self._take_request()
            if kind is not None and is_failure(kind, error):
                self.error = kind
                if error is not None and self.ignored is None:
                    self.raised = self.raised or RecordedErrors()
                    self.size += self.raised.add(error, trace, self.tracer.unread, handled=False)
            if self.raised is not None:
                self.raised.close()
            self.tracer.finish(self)
        except Exception as fault:  # noqa: BLE001  # see `contain.py`
            restore_tracer(self, fault)
        finally:
            if not self.is_handed_over:
                self.stop_ns = self.stop_ns or perf_counter_ns()
                self.tracer.finish(self)


def reseed(finished: Iterable[Transaction]) -> None:
    """Draw other ids than the process that this one was forked from, also for those that finished since."""
    _ids.seed()
    for transaction in finished:  # the upper half stays: sampling has compared it with a rate
        transaction.id = transaction.id >> 32 << 32 | _getrandbits(32)
