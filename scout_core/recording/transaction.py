"""One web request or background job: the outermost span, and the list of all spans that ended in it.

Hot code: a finished transaction is handed to the agent's thread by one append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from scout_core.clocks import perf_counter_ns, time
from scout_core.operations import OTHER, OTHER_NAME, WEB_PREFIX
from scout_core.recording import context
from scout_core.recording.abandoned import give_up, is_abandoned
from scout_core.recording.bounding import cut_operation
from scout_core.recording.bounds import LONGEST_NAME, LONGEST_TEXT, TRANSACTION_SIZE
from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.contain import lose, restore_tracer
from scout_core.recording.raised import Raised, is_failure, note_raised
from scout_core.recording.silence import is_left_by_hook
from scout_core.recording.span import Span, has_error_tag, name_or_refuse, plain_key, plain_name, shortened
from scout_core.recording.web import WebRequest, path_of, read_environ
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.measuring.report import Trace
    from scout_core.recording.tracer import Tracer

MAX_MERGED: Final = 100
"""Operations counted separately among merged spans; further ones are counted as ``Other/other``."""
_WEB_LENGTH: Final = len(WEB_PREFIX)
_OTHER_OPERATION: Final = f"{OTHER}/{OTHER_NAME}"

_ids: Final = Random()  # noqa: S311  # an id is not a secret
"""Not the generator of the module ``random``: applications seed that one, and rely on the numbers that follow."""
_getrandbits = _ids.getrandbits
_get = context.current.get
_set = context.current.set


class Transaction(Span):
    """
    One web request (``Controller/…``) or background job (``Job/…``).

    Inside another transaction it is a span of that one. While no agent runs it does nothing.

    ``with transaction("Job/mail.send", queue="low") as t: …``, or ``@transaction("Job/mail.send")`` on a function.
    """

    __slots__ = (
        "tracer", "id", "started", "spans", "size", "bounded", "merged", "is_closed", "is_finished", "ignored", "environ",
        "own_request", "queued_at", "queue_time", "raised", "add_request_tags", "is_handed_over", "held_by", "__weakref__",
    )  # fmt: skip

    tracer: Tracer
    """The tracer that records it; unset until it starts."""
    id: int
    """64 random bits; 0 when not recorded, and for a transaction inside another."""
    started: float
    """Unix time."""
    spans: list[Span]
    """Finished spans in order of their end, without the transaction itself."""
    size: int
    """Characters in the tags of its finished spans; in the inbox, about the bytes that it holds."""
    bounded: int  # spans whose tags have been looked at
    merged: dict[str, list[int]] | None
    """Spans beyond ``max_spans``: operation to ``[count, nanoseconds, those not spent in a merged child, errors]``."""
    is_closed: bool
    """Accepts no spans: the hooks of its start are running, it is ignored, or it has ended."""
    is_finished: bool
    ignored: str | None
    """Why it is ignored; None: it is not."""
    environ: Mapping[str, Any] | None  # Any: a WSGI environ holds anything
    """The WSGI environ of a web request that starts; None once the hooks have run and its facts are taken into ``request``."""
    own_request: WebRequest | None
    queued_at: float | None
    """For jobs: Unix time at which the job was put into its queue."""
    queue_time: float | None
    """Seconds it waited before it started; computed on the agent's thread. None: unknown."""
    raised: Raised | None
    """The exception that propagated out of it."""
    add_request_tags: Callable[[Transaction], None] | None
    """Adds the tags that are computed from ``request``, called when ``tags`` is first read; None: nothing to add."""
    is_handed_over: bool
    """Counted, or in the inbox of the agent's thread."""
    held_by: tuple[int, int]
    """The number of spans that were examined, and of their references to it; unset until ``abandoned.py`` asks."""

    def __init__(self, operation: str, /, **tags: Any) -> None:
        # Repeats Span.__init__: calling it would be a twentieth of the cost of a request.
        self.own_operation = operation if type(operation) is str else name_or_refuse(operation)
        self.own_tags = tags
        self.transaction = None
        self.parent = None
        self.start_ns = 0
        self.stop_ns = 0
        self.error = None
        self.id = 0
        self.started = 0.0
        self.spans = []
        self.size = TRANSACTION_SIZE
        self.bounded = 0
        self.merged = None
        self.is_closed = False
        self.is_finished = False
        self.is_handed_over = False
        self.ignored = None
        self.environ = None
        self.own_request = None
        self.queued_at = None
        self.queue_time = None
        self.raised = None
        self.add_request_tags = None

    @classmethod
    def from_trace(cls, trace: Trace) -> Transaction:
        """
        Return a finished transaction with everything that is known from a trace, for policies to score it again.

        Tags are cleaned and secrets masked, exceptions are classes of the same name, and of a web request only the path is known.
        """
        from scout_core.recording.from_trace import transaction_from  # needed only where traces are stored

        return transaction_from(trace)

    def tag(self, key: str, value: Any) -> None:
        """Set a tag, replacing an earlier value. A value of megabytes is shortened; see ``bounds.py``."""
        value = shortened(self, key, value) if type(value) is str and len(value) > LONGEST_TEXT else value
        tags = self.own_tags if self.add_request_tags is None else self.tags  # those of the request come first
        tags[key if type(key) is str and len(key) < KEY_READ else plain_key(self, key)] = value

    @property
    def tags(self) -> dict[str, Any]:
        """Facts about it. Once it has ended, the agent's thread adds ``path`` and ``user_ip`` of a web request."""
        add = self.add_request_tags
        if add is not None:
            add(self)
            self.add_request_tags = None  # only now: another thread that reads meanwhile does the same once more
        return self.own_tags

    @tags.setter
    def tags(self, tags: dict[str, Any]) -> None:
        Span.tags.__set__(self, tags)  # type: ignore[attr-defined]  # mypy does not know the methods of a property

    @property
    def is_error(self) -> bool:
        """Whether an exception propagated out of it, or the tag ``error`` is set to true."""
        return self.error is not None or has_error_tag(self.own_tags)

    @property
    def request(self) -> WebRequest | None:
        """Facts of a web request, not yet processed; None for a job."""
        if self.environ is not None:
            self._take_request()
        return self.own_request

    @request.setter
    def request(self, request: WebRequest | None) -> None:
        self.environ = None
        self.own_request = request

    def _take_request(self) -> None:
        self.own_request = read_environ(WebRequest.from_environ, self.environ)  # type: ignore[arg-type]  # called if there is one
        self.environ = None

    @property
    def path(self) -> str | None:
        """Path of a web request, without its query; None for a job."""
        if self.environ is not None:
            return read_environ(path_of, self.environ)
        return None if self.own_request is None else self.own_request.path

    @property
    def is_web(self) -> bool:
        """Whether it is a web request."""
        return self.own_operation[:_WEB_LENGTH] == WEB_PREFIX  # `startswith` takes three times as long (Python 3.11)

    def ignore(self, reason: str = "by the application") -> None:
        """Leave it out of every figure, and record nothing more inside it."""
        if self.transaction is not None and self.transaction is not self:
            self.transaction.ignore(reason)
        elif self.ignored is None and not (self.is_closed and self.start_ns):  # the first reason counts
            self.ignored = (reason if type(reason) is str else plain_name(reason))[:LONGEST_NAME]
            self.is_closed = True

    def merge(self, span: Span) -> None:
        """Count a span that exceeds ``max_spans``."""
        if self.merged is None:
            merged: dict[str, list[int]] = {}  # before Python 3.12 this may run the collector, and so other threads
            if self.merged is None:
                self.merged = merged
        if len(span.own_operation) > LONGEST_NAME:
            cut_operation(span, self.tracer)
        # No call between reading and writing, so CPython cannot switch threads in between: no lock is needed.
        duration = span.stop_ns - span.start_ns
        failed = span.error is not None
        figures = self._merged_as(span.own_operation)
        figures[0] += 1
        figures[1] += duration
        figures[2] += duration
        figures[3] += failed
        parent = span.parent
        if parent is not self and parent is not None and not parent.stop_ns:  # it ends later, so it will be merged too
            figures = self._merged_as(parent.own_operation)
            figures[2] -= duration

    def _merged_as(self, operation: str) -> list[int]:
        merged: dict[str, list[int]] = self.merged  # type: ignore[assignment]  # merge() created it
        name = operation if operation in merged or len(merged) < MAX_MERGED else _OTHER_OPERATION
        return merged.setdefault(name, [0, 0, 0, 0])

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
                    self.environ = None
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
                    self.raised = note_raised(error, trace, self.tracer.unread)
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
