"""
The facts of one web request or background job: its name and tags, the request, and whether it is ignored.

Hot code: an object is made for each transaction, also where it becomes a span of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from scout_core.operations import WEB_PREFIX
from scout_core.recording.errors.recorded import record_in
from scout_core.recording.limits.bounds import LONGEST_NAME, LONGEST_TEXT, TRANSACTION_SIZE
from scout_core.recording.naming import has_error_tag, name_or_refuse, plain_key, plain_name, shortened
from scout_core.recording.span import Span
from scout_core.recording.trace.traced import Traced
from scout_core.recording.web import WebRequest, path_of, read_environ
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from scout_core.measuring.error_report import ErrorReport
    from scout_core.recording.errors.recorded import RecordedErrors
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

_WEB_LENGTH: Final = len(WEB_PREFIX)


class Record(Traced):
    """The facts of one transaction; ``Transaction`` adds how it begins and ends."""

    __slots__ = (
        "tracer", "id", "started", "spans", "size", "bounded", "merged", "is_closed", "is_finished", "ignored", "environ",
        "own_request", "queued_at", "queue_time", "raised", "add_request_tags", "is_handed_over", "held_by", "is_detached",
        "before", "started_by", "__weakref__",
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
    raised: RecordedErrors | None
    """What ``errors`` is made of; None while no error has been recorded."""
    add_request_tags: Callable[[Transaction], None] | None
    """Adds the tags that are computed from ``request``, called when ``tags`` is first read; None: nothing to add."""
    is_handed_over: bool
    """Counted, or in the inbox of the agent's thread."""
    is_detached: bool
    """It does not become a span of the transaction in which it begins."""
    before: Span | None
    """The span that was current when it began, if it is detached from the transaction of that; None: nothing was."""
    started_by: int
    """Id of the transaction that started it, if it is detached; 0: none did, or that one is not recorded."""
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
        self.before = None
        self.started_by = 0

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
        from scout_core.recording.errors.reports import reports_of  # loaded by start()

        return reports_of(self.raised, self)

    @property
    def error_count(self) -> int:
        """How many errors have been recorded, also beyond the limit of ``errors``."""
        return 0 if self.raised is None else len(self.raised.listed) + self.raised.beyond
