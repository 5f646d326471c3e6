"""One timed piece of a transaction, as a context manager and decorator.

Hot code: a span costs two clock readings, one object and one append (``benchmarks/``). Hence a plain class with slots,
no formatting, no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from scout_core.clocks import perf_counter_ns
from scout_core.operations import kind_of
from scout_core.recording.context import KEPT_OPEN, current, has_ended, leave, open_parent, step_out
from scout_core.recording.errors.raised import is_failure
from scout_core.recording.limits.bounding import bound_ended
from scout_core.recording.limits.bounds import LONGEST_TEXT
from scout_core.recording.limits.merging import merge
from scout_core.recording.naming import has_error_tag, name_or_refuse, plain_key, plain_name, shortened, type_name
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.recording.safety.contain import count_invalid, lose
from scout_core.recording.trace.ids import span_id_of
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.recording.transaction import Transaction

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Body = TypeVar("_Body")

_get = current.get
_set = current.set
_traceback: Final[Callable[[BaseException], TracebackType | None]] = BaseException.__dict__["__traceback__"].__get__


class Span:
    """
    One timed piece of the open transaction; outside a transaction it does nothing.

    An object is one span: once it has started, entering it again does nothing.

    Args:
        operation: ``Kind/name``, as in ``SQL/Query``.
        tags: facts, at most 64. Strings, numbers, bools and None are sent; dates, timedeltas, UUID, Decimal, paths and enum
            members as text; anything else as ``<TypeName>``.

    ``with span("Cart/Checkout", items=3) as s: s.tag("total", 9)``, or ``@span("Cart/Checkout")`` on a function.
    """

    __slots__ = ("own_operation", "own_tags", "transaction", "own_parent", "start_ns", "stop_ns", "error", "own_id")

    own_operation: str
    own_tags: dict[str, Any]  # Any: cleaned when sent
    transaction: Transaction | None
    """The transaction that it belongs to; None while not recorded."""
    own_parent: Span | None
    start_ns: int
    """Monotonic clock; 0 before the start, and of a transaction while the hooks of its start run."""
    stop_ns: int
    """0 while open; ``KEPT_OPEN`` once it is to outlive its block; see ``keep_open``."""
    error: type[BaseException] | None
    """Class of the exception that propagated out of it; None: it succeeded."""
    own_id: str  # unset until somebody reads `span_id`

    def __init__(self, operation: str, /, **tags: Any) -> None:
        self.own_operation = operation if type(operation) is str else name_or_refuse(operation)
        self.own_tags = tags
        self.transaction = None
        self.own_parent = None
        self.start_ns = 0
        self.stop_ns = 0
        self.error = None

    def tag(self, key: str, value: Any) -> None:
        """Set a tag, replacing an earlier value. A value of megabytes is shortened; see ``bounds.py``."""
        if type(value) is str and len(value) > LONGEST_TEXT:
            value = shortened(self, key, value)
        self.own_tags[key if type(key) is str and len(key) < KEY_READ else plain_key(self, key)] = value

    def rename(self, operation: str) -> None:
        """Change the operation."""
        self.own_operation = operation if type(operation) is str else plain_name(operation)

    @property
    def operation(self) -> str:
        """``Kind/name``. Anything but a text is refused: a hook that sets it fails, elsewhere the operation stays."""
        return self.own_operation

    @operation.setter
    def operation(self, operation: str) -> None:
        if issubclass(type(operation), str):
            self.rename(operation)
        else:
            self._refuse("operation", "str", operation)

    @property
    def tags(self) -> dict[str, Any]:
        """Facts about it. Anything but a dict is refused: a hook that sets it fails, elsewhere the tags stay."""
        return self.own_tags

    @tags.setter
    def tags(self, tags: dict[str, Any]) -> None:
        if type(tags) is dict:
            self.own_tags = tags
        else:
            self._refuse("tags", "dict", tags)

    @property
    def parent(self) -> Span | None:
        """The innermost span that was open when this one started; None for the transaction itself. It cannot be set."""
        return self.own_parent

    @parent.setter
    def parent(self, parent: Span | None) -> None:
        if parent is not self.own_parent:  # a circle of parents would keep every walk up to the transaction from ending
            self._refuse("parent", "span that was open at the start", parent)

    def _refuse(self, name: str, expected: str, value: object) -> None:
        """Keep the old value. The application's thread is never interrupted; a hook is, so that its plugin is named."""
        transaction = self.transaction
        tracer = getattr(transaction, "tracer", None)  # one from a trace has none
        if tracer is not None:
            tracer.invalid_values += 1
        current_span = _get()
        inside = None if current_span is None else current_span.transaction
        if inside is not None and not inside.start_ns:  # a hook runs
            raise TypeError(f"{name} must be a {expected}, got {type_name(type(value))}")

    @property
    def kind(self) -> str:
        """The operation up to its first slash: ``SQL`` of ``SQL/Query``."""
        return kind_of(self.own_operation)

    @property
    def span_id(self) -> str:
        """Its id in the trace, 16 hexadecimal digits; empty while it is not recorded."""
        return span_id_of(self)

    @property
    def duration(self) -> float:
        """Seconds from start to end, or until now while it is open; 0.0 when not recorded."""
        if not self.start_ns:
            return 0.0
        return ((self.stop_ns if has_ended(self) else perf_counter_ns()) - self.start_ns) / 1e9

    @property
    def is_error(self) -> bool:
        """Whether an exception propagated out of it, or the tag ``error`` is set to true."""
        return self.error is not None or has_error_tag(self.own_tags)

    def begin(self) -> Self:
        """
        Start it, if it has not started, and make it the current span of this thread or task; ``with`` does the same.

        It ends with ``end``, which may be called anywhere: in another thread, task or callback.

        Returns:
            Itself. Outside a transaction nothing begins.
        """
        try:
            parent = _get()
            if parent is None or self.start_ns:
                return self
            transaction = parent.transaction
            if parent.stop_ns or transaction is None or transaction.is_closed:
                parent = open_parent(parent)
                if parent is None:
                    return self
                transaction = cast("Transaction", parent.transaction)
            if collecting and is_collecting_here():
                transaction.tracer.in_collection += 1
                return self
            self.transaction = transaction
            self.own_parent = parent
            _set(self)
            self.start_ns = perf_counter_ns()
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(self, error)
        return self

    __enter__ = begin

    def end(self, error: BaseException | None = None) -> None:
        """
        End it, once: further calls change nothing, nor does the end of its ``with`` block after that.

        Where it is the current span, the one around it becomes current; the context of other threads and tasks stays as it is.

        Args:
            error: an exception that counts as if it had propagated out of it; None: it succeeded.
        """
        if not self.start_ns:  # also while the hooks of the start of a transaction run
            return
        innermost, own = _get(), self.transaction
        if self.stop_ns == KEPT_OPEN:
            self.stop_ns = 0
        if error is None:
            self.__exit__(None, None, None)
        elif issubclass(type(error), BaseException):
            self.__exit__(type(error), error, _traceback(error))
        else:
            count_invalid()
            self.__exit__(None, None, None)
        if innermost is not None and innermost.transaction is not own and _get() is not innermost:
            _set(innermost)

    def keep_open(self) -> Self:
        """
        Let it outlive its ``with`` block, or the call that a describer returns it for, until ``end`` is called.

        The end of the block only makes the span around it current again. An exception that leaves the block ends it.
        """
        if not self.stop_ns:
            self.stop_ns = KEPT_OPEN
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_ns = perf_counter_ns()
        try:
            transaction = self.transaction
            if transaction is None:
                return
            if self.stop_ns and (kind is None or self.stop_ns != KEPT_OPEN):  # kept open, or ended elsewhere
                leave(self)
                return
            self.stop_ns = stop_ns
            if kind is not None and is_failure(kind, error):
                self.error = kind
            if collecting and is_collecting_here():
                pass  # a generator that the collector closes: the span stays current until its transaction ends
            elif _get() is self:
                _set(self.own_parent)
            else:
                step_out(self)
            tracer = transaction.tracer
            if transaction.is_closed:
                tracer.count_late(transaction)
                return
            spans = transaction.spans
            count = len(spans)
            if count < tracer.max_spans:
                spans.append(self)
                if count & 7 == 7:
                    bound_ended(transaction)
            else:
                merge(transaction, self)
        except Exception as fault:  # noqa: BLE001  # see `contain.py`
            lose(self, fault)
            return
        if tracer.on_span:
            tracer.run_hooks(tracer.on_span, self)

    def stream(self, body: _Body, *, file_wrapper: object = None) -> _Body:
        """
        Let it last until a body has been read to its end or closed: ``response.body = web.stream(response.body)``.

        Spans that start while the body is read belong to it. The tag ``active_time`` is its time without the pauses of the reader.

        Args:
            body: an iterable, an async iterable, a generator or a file.
            file_wrapper: ``environ["wsgi.file_wrapper"]`` of a server; its objects are sent without being read here.

        Returns:
            The object to send in place of the body: it gives the same values, and has the same class, length and methods. A list, or
            anything else in memory, and a file are returned themselves; of a file, the attribute ``close`` is replaced. If that
            cannot be done, the span ends without it, and has the tag ``unfollowed_body``.
        """
        from scout_core.recording.stepwise.streams import follow  # imports this module

        return follow(self, body, file_wrapper)  # type: ignore[no-any-return]  # it acts as the body

    def __call__(self, function: _Function) -> _Function:
        """
        Decorate a function: each call, or each await of an ``async def``, becomes a span like this one.

        Raises:
            TypeError: the function cannot be decorated, or the span is kept open.
        """
        from scout_core.recording.decorate import decorated  # loaded only where decorators are used

        if self.stop_ns == KEPT_OPEN:
            raise TypeError(
                "keep_open() cannot be used in a decorator: nothing could end the spans; use a with statement"
            )
        return decorated(function, self._kind(), self.operation, self.tags)

    def _kind(self) -> Callable[..., Span]:
        """Return what makes another one like it, of an operation and tags."""
        return type(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.operation}>"
