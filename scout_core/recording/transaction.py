"""One web request or background job: the outermost span, and the list of all spans that ended in it.

Hot code: what ends here is handed to the agent's thread by one append.
"""

from __future__ import annotations

from random import getrandbits
from time import perf_counter_ns, time
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scout_core.recording import context
from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.span import Span, plain_name
from scout_core.tracebacks import MAX_FRAMES, frames_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.recording.tracer import Tracer
    from scout_core.recording.web import WebRequest

MAX_MERGED: Final = 100
"""Operations told apart among the spans for which there was no room; further ones are counted as ``Other/other``."""

_get = context.current.get
_set = context.current.set


class Raised(NamedTuple):
    """An exception that left a transaction, without the objects that it held on to."""

    kind: type[BaseException]
    message: str
    """Literals masked; see ``text/message.py``."""
    frames: list[tuple[CodeType, int]]
    """Code and line, innermost first, at most 50."""


class Transaction(Span):
    """
    One web request (``Controller/…``) or background job (``Job/…``).

    Inside another transaction it is a span of that one. While no agent runs it does nothing.

    ``with transaction("Job/mail.send", queue="low") as t: …``, or ``@transaction("Job/mail.send")`` on a function.
    """

    __slots__ = (
        "tracer", "id", "started", "spans", "merged", "is_closed", "is_finished", "ignored", "request", "queued_at",
        "queue_time", "raised", "__weakref__",
    )  # fmt: skip

    tracer: Tracer
    """The one that records it; set while it is open and after."""
    id: int
    """64 random bits; 0 when not recorded, and for a transaction inside another."""
    started: float
    """Unix time."""
    spans: list[Span]
    """Finished ones in order of their end, without the transaction itself."""
    merged: dict[str, list[int]] | None
    """Spans beyond ``max_spans``: operation to ``[count, nanoseconds, those not spent in a merged child, errors]``."""
    is_closed: bool
    """Takes no more spans: it has ended, or is ignored."""
    is_finished: bool
    ignored: str | None
    """Why it is ignored."""
    request: WebRequest | None
    """For web requests: what the client sent, raw."""
    queued_at: float | None
    """For jobs: Unix time at which it was put into its queue."""
    queue_time: float | None
    """Seconds it waited before it began; known on the agent's thread. None: unknown."""
    raised: Raised | None
    """The exception that left it."""

    def __init__(self, operation: str, /, **tags: Any) -> None:
        # As Span.__init__, whose call would be a twentieth of what a request costs.
        self.operation = operation if type(operation) is str else plain_name(operation)
        self.tags = tags
        self.transaction = None
        self.parent = None
        self.start_ns = 0
        self.stop_ns = 0
        self.error = None
        self.id = 0
        self.started = 0.0
        self.spans = []
        self.merged = None
        self.is_closed = False
        self.is_finished = False
        self.ignored = None
        self.request = None
        self.queued_at = None
        self.queue_time = None
        self.raised = None

    @property
    def path(self) -> str | None:
        """Path of a web request, without its query; None for a job."""
        return None if self.request is None else self.request.path

    @property
    def is_web(self) -> bool:
        """Whether it is a web request."""
        return self.operation.startswith("Controller/")

    def ignore(self, reason: str = "by the application") -> None:
        """Leave it out of every figure. What runs in it from now on is not recorded."""
        if self.transaction is not None and self.transaction is not self:
            self.transaction.ignore(reason)
        elif not self.is_closed:  # the first reason counts
            self.ignored = reason
            self.is_closed = True

    def merge(self, span: Span) -> None:
        """Count a span for which there is no more room."""
        if self.merged is None:
            self.merged = {}
        # No call between reading and writing, so CPython cannot switch threads in between and no lock is needed.
        duration = span.stop_ns - span.start_ns
        failed = span.error is not None
        figures = self._merged_as(span.operation)
        figures[0] += 1
        figures[1] += duration
        figures[2] += duration
        figures[3] += failed
        parent = span.parent
        if parent is not self and parent is not None and not parent.stop_ns:  # it ends later, so it is merged too
            figures = self._merged_as(parent.operation)
            figures[2] -= duration

    def _merged_as(self, operation: str) -> list[int]:
        merged: dict[str, list[int]] = self.merged  # type: ignore[assignment]  # merge() has made it
        if operation not in merged and len(merged) >= MAX_MERGED:
            operation = "Other/other"
        return merged.setdefault(operation, [0, 0, 0, 0])

    def __enter__(self) -> Self:
        parent = _get()
        if parent is not None and not parent.transaction.is_finished:  # type: ignore[union-attr]  # in the context: it has one
            return Span.__enter__(self)
        tracer = context.tracer
        if tracer is None or self.start_ns:
            return self
        if collecting and is_collecting_here():
            tracer.in_collection += 1
            return self
        self.tracer = tracer
        self.transaction = self
        self.id = getrandbits(64)
        self.started = time()
        self.start_ns = perf_counter_ns()
        has_begun = False
        try:
            _set(self)
            for hook in tracer.on_request_start:
                hook(self, tracer.config)
            has_begun = True
        finally:
            if not has_begun:  # a signal's handler raised, and nobody will call __exit__
                _set(None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.transaction is not self:
            Span.__exit__(self, kind, error, trace)
            return
        # First of all, since a signal's handler may raise at each call, and later ones must not nest in this.
        innermost = _get()
        if innermost is not None and innermost.transaction is self and not (collecting and is_collecting_here()):
            _set(None)
        if self.is_finished:
            return
        self.stop_ns = perf_counter_ns()
        if kind is not None and issubclass(kind, Exception):
            self.error = kind
            if error is not None and not self.is_closed:
                self.raised = _raised(error, trace)
        self.is_closed = True
        self.is_finished = True
        self.tracer.finish(self)


def ended(tracer: Tracer, ignored: str | None = None) -> Transaction:
    """
    What stands in for every transaction that the agent's thread is done with.

    A context may outlive a transaction (a task that goes on, a generator never closed) and must find something closed there,
    without holding on to the spans of a request that is long over.
    """
    nothing = Transaction("Ended/transaction")
    nothing.tracer = tracer
    nothing.transaction = nothing
    nothing.is_closed = nothing.is_finished = True
    nothing.ignored = ignored
    return nothing


def release(transaction: Transaction) -> None:
    """Let go of everything that refers back to itself, so that memory is freed at once."""
    stand_in = transaction.tracer.ended if transaction.ignored is None else transaction.tracer.left_out
    if transaction.spans:
        for span in transaction.spans:
            span.transaction = stand_in
            span.parent = None
        transaction.spans = []
    transaction.transaction = stand_in


def _raised(error: BaseException, trace: TracebackType | None) -> Raised:
    from scout_core.text.message import error_message  # loaded by start(); this only looks it up

    try:
        message = error_message(error)
    except Exception:  # noqa: BLE001  # a fault of ours must not replace the application's exception
        message = "<message could not be read>"
    return Raised(type(error), message, frames_of(trace)[: -MAX_FRAMES - 1 : -1])
