"""
The facts of one web request or background job: its name and tags, the request, and whether it is ignored.

Hot code: an object is made for each transaction, also where it becomes a span of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from scout_core.fork_lock import importing
from scout_core.operations import WEB_PREFIX
from scout_core.recording.errors.recorded import record_in
from scout_core.recording.limits.bounds import LONGEST_NAME, LONGEST_TEXT, TRANSACTION_SIZE
from scout_core.recording.naming import has_error_tag, name_or_refuse, plain_key, plain_name, shortened
from scout_core.recording.span import Span
from scout_core.recording.trace.traced import Traced
from scout_core.recording.web import WebRequest, path_of, read_environ
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.measuring.error_report import ErrorReport
    from scout_core.measuring.trace_report import SpanRepeat
    from scout_core.recording.errors.recorded import RecordedErrors
    from scout_core.recording.repeats import Repeats
    from scout_core.recording.stacks import Stacks
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

_Body = TypeVar("_Body")
_WEB_LENGTH: Final = len(WEB_PREFIX)


class Follower(Protocol):
    """A request whose application may work on after its end."""

    def follow(self) -> Transaction | None:
        """Return the open transaction for a span that begins now; None: it is not recorded."""

    def end_sent(self) -> None:
        """End the request if its response has been sent: a transaction begins now."""


class Record(Traced):
    """The facts of one transaction; ``Transaction`` adds how it begins and ends."""

    __slots__ = (
        "tracer", "id", "started", "spans", "size", "bounded", "merged", "is_closed", "is_finished", "ignored", "environ",
        "own_request", "queued_at", "queue_time", "raised", "add_request_tags", "is_handed_over", "held_by", "is_detached",
        "own_before", "started_by", "own_noted_from", "served", "has_joined", "own_pauses", "own_stacks", "own_repeats",
        "recorder",
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
    """
    The WSGI environ or ASGI scope of a web request that starts; None once the hooks have run and its facts are taken into ``request``.
    """
    own_request: WebRequest | None
    queued_at: float | None
    """For jobs: Unix time at which the job was put into its queue."""
    queue_time: float | None
    """Seconds it waited before it started; computed on the agent's thread. None: unknown."""
    raised: RecordedErrors | None
    """What ``errors`` is made of; None while no error has been recorded."""
    add_request_tags: Callable[[Transaction], None] | None
    """Adds the tags that are computed from ``request``, called when ``tags`` is first read; None: nothing to add."""
    is_handed_over: bool
    """Counted, or in the inbox of the agent's thread."""
    is_detached: bool
    """It does not become a span of the transaction in which it begins."""
    own_before: Span | None
    """The span that was current when it began, if it is detached from the transaction of that; None: nothing was."""
    started_by: int
    """Id of the transaction that started it, if it is detached; 0: none did, or that one is not recorded."""
    own_noted_from: int
    """
    On the monotonic clock: a span that ends earlier is neither slow nor one of many repeated calls that take long, which is one
    comparison for most. Unset until it starts.
    """
    served: Mapping[str, Any] | None  # Any: as of ``environ``
    """The environ or scope of ``around``, until it ends, or another transaction has joined it; None: no other one may join."""
    has_joined: bool
    """It is the same as ``transaction``, which was begun around the same request; see ``joining.py``."""
    recorder: Follower | None
    """Takes the spans that begin in its context after its end; None, or unset: nothing does, and they are counted as late."""
    own_pauses: dict[int, tuple[Span, int]]
    """Spans by their ``id()``, each with the nanoseconds in which it has paused; unset until one has. See ``pauses.py``."""
    own_stacks: Stacks
    """The calls around slow spans; unset until there is one. See ``stacks.py``."""
    own_repeats: Repeats
    """The lines that repeat calls; unset until one may. See ``repeats.py``."""
    held_by: tuple[int, int]
    """The number of spans that were examined, and of their references to it; unset until ``abandoned.py`` asks."""

    def __init__(self, operation: str, /, **tags: Any) -> None:
        # Repeats Span.__init__: calling it would be a twentieth of the cost of a request.
        self.own_operation = operation if type(operation) is str else name_or_refuse(operation)
        self.own_tags = tags
        self.transaction = None
        self.own_parent = None
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
        self.is_detached = False
        self.own_before = None
        self.started_by = 0
        self.served = None
        self.has_joined = False

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
            add(self)  # type: ignore[arg-type]  # only transactions are made
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
    def before(self) -> Span | None:
        """The span that was current when it began, if it is detached from the transaction of that; None: nothing was. It cannot be set."""
        return self.own_before

    @before.setter
    def before(self, before: Span | None) -> None:
        if before is not self.own_before:  # a circle would keep every walk out of the transaction from ending
            self._refuse("before", "span that was open at the start", before)

    def around(self, environ: Mapping[str, Any]) -> Self:  # Any: as of ``environ``
        """
        Let it be the transaction of a request around an application: for middleware that records applications of any framework.

        The plugin of the framework inside begins a web transaction for the same request. That joins this one instead of becoming a
        span of it: its name, tags and errors are this one's from then on, and it lasts until this one ends. Call it before it begins.

        Args:
            environ: the WSGI environ, or the ASGI scope, that the application is called with.

        Returns:
            Itself.
        """
        self.environ = self.served = environ
        return self

    def rename(self, operation: str) -> None:
        """Change the operation."""
        Span.rename(self, operation)
        if self.has_joined and self.transaction is not None:
            self.transaction.own_operation = self.own_operation

    def stream(self, body: _Body, *, file_wrapper: object = None) -> _Body:
        """Let it last until a body has been read to its end or closed, as ``Span.stream``; one that has joined another has no own end."""
        return body if self.has_joined else Span.stream(self, body, file_wrapper=file_wrapper)

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
        self.own_request = read_environ(WebRequest.of, self.environ)  # type: ignore[arg-type]  # called if there is one
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

    def record_error(self, exception: BaseException, *, handled: bool = True) -> None:
        """
        Record an exception that does not leave it, because something deals with it; once, however often it is given.

        Args:
            handled: False: it makes the transaction fail, as when a framework answers it with an error page.
        """
        record_in(self, exception, handled=handled)

    @property
    def errors(self) -> tuple[ErrorReport, ...]:
        """
        The recorded errors, at most 10: first those that made it fail, each in the order in which they were recorded.

        Empty until it has ended, since the texts are built on the agent's thread.
        """
        if self.raised is None or not self.is_finished:
            return ()
        with importing:  # on the agent's thread, at the first error
            from scout_core.recording.errors.reports import reports_of

        return reports_of(self.raised, self)

    @property
    def error_count(self) -> int:
        """How many errors have been recorded, also beyond the limit of ``errors``."""
        return 0 if self.raised is None else len(self.raised.listed) + self.raised.beyond

    @property
    def repeats(self) -> tuple[SpanRepeat, ...]:
        """
        The calls that one line of the application repeats, such as N+1 queries: at most 20, those that took longest first.

        Empty until it has ended, since they are found on the agent's thread.
        """
        if not self.is_finished or not self.spans:
            return ()
        with importing:  # on the agent's thread, and start() has loaded it
            from scout_core.recording.repeated import repeats_of

        return repeats_of(self)  # type: ignore[arg-type]  # only transactions are made
