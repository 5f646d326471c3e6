"""One timed piece of a transaction, as a context manager and decorator.

Hot code: a span costs two clock readings, one object and one append (``benchmarks/``). Hence a plain class with slots,
no formatting, no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from scout_core.clocks import perf_counter_ns
from scout_core.operations import kind_of
from scout_core.recording.bounding import bound_ended
from scout_core.recording.bounds import LONGEST_TEXT, bounded
from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.contain import lose
from scout_core.recording.context import current
from scout_core.recording.merging import merge
from scout_core.recording.raised import is_failure
from scout_core.recording.trace_ids import span_id_of
from scout_core.tag_values import KEY_READ

if TYPE_CHECKING:
    from scout_core.recording.transaction import Transaction

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Self = TypeVar("_Self", bound="Span")

_type_name: Final[Callable[[type], str]] = type.__dict__[
    "__name__"
].__get__  # a metaclass may raise for `kind.__name__`
_DECORATED: Final = (FunctionType, staticmethod, classmethod, property, type)
"""Types of what ``@span`` without parentheses is given as its operation."""
_get = current.get
_set = current.set


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

    __slots__ = ("own_operation", "own_tags", "transaction", "parent", "start_ns", "stop_ns", "error", "own_id")

    own_operation: str
    own_tags: dict[str, Any]  # Any: cleaned when sent
    transaction: Transaction | None
    """The transaction that it belongs to; None while not recorded."""
    parent: Span | None
    """The innermost span that was open when this one started; None for the transaction itself."""
    start_ns: int
    """Monotonic clock; 0 before the start, and of a transaction while the hooks of its start run."""
    stop_ns: int
    """0 while open."""
    error: type[BaseException] | None
    """Class of the exception that propagated out of it; None: it succeeded."""
    own_id: str  # unset until somebody reads `span_id`

    def __init__(self, operation: str, /, **tags: Any) -> None:
        self.own_operation = operation if type(operation) is str else name_or_refuse(operation)
        self.own_tags = tags
        self.transaction = None
        self.parent = None
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
        return ((self.stop_ns or perf_counter_ns()) - self.start_ns) / 1e9

    @property
    def is_error(self) -> bool:
        """Whether an exception propagated out of it, or the tag ``error`` is set to true."""
        return self.error is not None or has_error_tag(self.own_tags)

    def __enter__(self: _Self) -> _Self:
        try:
            parent = _get()
            if parent is None or self.start_ns:
                return self
            transaction = parent.transaction
            if transaction is None or transaction.is_closed:
                if transaction is not None:
                    transaction.tracer.count_late(transaction)
                return self
            if collecting and is_collecting_here():
                transaction.tracer.in_collection += 1
                return self
            self.transaction = transaction
            self.parent = parent
            _set(self)
            self.start_ns = perf_counter_ns()
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(self, error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_ns = perf_counter_ns()
        transaction = self.transaction
        if transaction is None or self.stop_ns:
            return
        self.stop_ns = stop_ns
        try:
            if kind is not None and is_failure(kind, error):
                self.error = kind
            if collecting and is_collecting_here():
                pass  # a generator that the collector closes: the span stays current until its transaction ends
            elif _get() is self:
                _set(self.parent)
            else:
                _step_out(self)
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

    def __call__(self, function: _Function) -> _Function:
        """Decorate a function: each call, or each await of an ``async def``, becomes a span like this one."""
        from scout_core.recording.decorate import decorated  # loaded only where decorators are used

        return decorated(function, type(self), self.operation, self.tags)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.operation}>"


def _step_out(span: Span) -> None:
    """
    Leave a span that is not the innermost one.

    Spans that were opened inside it and never closed must not stay current. If it is not an ancestor of the current span, because
    it is closed out of order or in another context, the current span stays.
    """
    ancestor = _get()
    while ancestor is not None:
        ancestor = ancestor.parent
        if ancestor is span:
            _set(span.parent)
            return


def shortened(span: Span, key: str, value: str) -> str:
    """Return the part of a long text that is kept as a tag."""
    transaction = span.transaction
    if transaction is not None:
        transaction.tracer.values_cut += 1
    return bounded(value, is_statement=type(key) is str and key == "statement")  # type: ignore[no-any-return]  # a text


def has_error_tag(tags: dict[str, Any]) -> bool:
    """Whether the tag ``error`` is set to true."""
    tag = tags.get("error")
    kind: object = type(tag)  # other types, and their metaclasses, might run code when compared
    return (kind is bool or kind is int or kind is str) and tag in (True, "true")


def name_or_refuse(operation: object) -> str:
    """
    Return the name of an operation that is not exactly a ``str``.

    Raises:
        TypeError: it is a function or a class, because a decorator was written without parentheses.
    """
    kind = type(operation)
    if any(kind is decorated for decorated in _DECORATED):  # `in` could run code of a metaclass
        name = getattr(operation, "__name__", "it")
        raise TypeError(f"an operation is missing: write @span('Kind/name') or @transaction('Job/name') above {name}")
    return plain_name(operation)


def plain_name(name: object) -> str:
    """Return an exact ``str`` for a name of any type, without running code of that type."""
    kind = type(name)
    if issubclass(kind, str):
        return str.__getitem__(name, slice(None))  # type: ignore[index]
    return f"<{type_name(kind)}>"


def plain_key(span: Span, key: object) -> str:
    """The same for the key of a tag, which may be very long."""
    name = plain_name(key)
    if len(name) > KEY_READ and span.transaction is not None:
        span.transaction.tracer.values_cut += 1
    return name[:KEY_READ]


def type_name(kind: type) -> str:
    """Return the name of a class without running code of its metaclass, or of a subclass of ``str``."""
    return str.__getitem__(_type_name(kind), slice(None))
