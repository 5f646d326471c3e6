"""One timed piece of a transaction, as a context manager and decorator.

Hot code: a span costs two clock readings, one object and one append (``benchmarks/``). Hence a plain class with slots,
no formatting, no lock.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from scout_core.clocks import perf_counter_ns
from scout_core.recording.context import (
    KEPT_OPEN,
    around,
    current,
    has_ended,
    innermost_open,
    lead_past,
    open_parent,
    step_out,
)
from scout_core.recording.errors.raised import is_failure
from scout_core.recording.facts import Facts
from scout_core.recording.limits.bounding import bound_ended
from scout_core.recording.limits.merging import merge
from scout_core.recording.naming import type_name
from scout_core.recording.repeats import note_repeat
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.recording.safety.contain import FAILED_WITHOUT_EXCEPTION, lose, note_misuse
from scout_core.recording.safety.never_ended import follow, let_go, stays_open
from scout_core.recording.stacks import note_stack, stack_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.recording.transaction import Transaction
    from scout_core.tracebacks import Frame

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Body = TypeVar("_Body")

_get = current.get
_set = current.set
_getframe = sys._getframe  # CPython's own, also in `logging`
_traceback: Final[Callable[[BaseException], TracebackType | None]] = BaseException.__dict__["__traceback__"].__get__


class Span(Facts):
    """
    One timed piece of the open transaction; outside a transaction it does nothing.

    An object is one span: once it has started, entering it again does nothing.

    Args:
        operation: ``Kind/name``, as in ``SQL/Query``.
        tags: facts, at most 64. Strings, numbers, bools and None are sent; dates, timedeltas, UUID, Decimal, paths and enum
            members as text; anything else as ``<TypeName>``.

    ``with span("Cart/Checkout", items=3) as s: s.tag("total", 9)``, or ``@span("Cart/Checkout")`` on a function.
    """

    __slots__ = ()

    def begin(self) -> Self:
        """
        Start it, if it has not started, and make it the current span of this thread or task; ``with`` does the same.

        It ends with ``end``, which may be called anywhere: in another thread, task or callback.

        Returns:
            Itself. Outside a transaction nothing begins.
        """
        if not self.start_ns:
            Span.__enter__(self)
            follow(self)
        return self

    def __enter__(self) -> Self:
        try:
            parent = _get()
            if parent is None or self.start_ns:
                if self.start_ns:
                    let_go(self)  # the block ends it
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

    def end(self, error: BaseException | None = None) -> None:
        """
        End it, once: further calls change nothing, nor does the end of its ``with`` block after that.

        Where it is the current span, the one around it becomes current; the context of other threads and tasks stays as it is.
        A span that began inside it and is still open stays current, too: the end of a block leaves such a span, this does not.

        Args:
            error: an exception that counts as if it had propagated out of it; None: it succeeded. Anything else is not used, and counted
                in ``Counters.invalid_values``: ``tag("error", True)`` marks it as failed without an exception.
        """
        if not self.start_ns:  # also while the hooks of the start of a transaction run
            return
        innermost, own = _get(), self.transaction
        outer = around(self) if own is self else None
        if self.stop_ns == KEPT_OPEN:
            self.stop_ns = 0
        if error is None:
            self.__exit__(None, None, None)
        elif issubclass(type(error), BaseException):
            self.__exit__(type(error), error, _traceback(error))
        else:
            note_misuse(
                f"end() got {type_name(type(error))} instead of an exception, which is not used",
                FAILED_WITHOUT_EXCEPTION,
            )
            self.__exit__(None, None, None)
        let_go(self)  # only now: its block may end on another thread meanwhile, and follow it
        if own is self and outer is not None:
            own.own_before = own.own_before or outer  # it may still be current in another context
        after = _get()
        if innermost is None or innermost is after:
            return
        if innermost is not self and (innermost.transaction is not own or not (own is self or has_ended(innermost))):
            _set(innermost)  # it stays current, as it does where this is called on another thread
            if own is self:
                lead_past(innermost, self, outer)
        elif after is not None and has_ended(after):  # it ended before what began inside it
            _set(innermost_open(after) or after)

    def keep_open(self) -> Self:
        """
        Let it outlive its ``with`` block, or the call that a describer returns it for, until ``end`` is called.

        The end of the block only makes the span around it current again. An exception that leaves the block ends it. After the end, this
        has no effect, and is counted in ``Counters.invalid_values``.
        """
        if self.stop_ns > 0:
            note_misuse(
                "keep_open() was called after the end, and has no effect", "call it inside the with block, or before it"
            )
        elif not self.stop_ns:
            self.stop_ns = KEPT_OPEN
            if self.start_ns:
                follow(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_ns = perf_counter_ns()
        try:
            transaction = self.transaction
            if transaction is None:
                return
            if self.stop_ns and stays_open(self, kind):  # kept open, or ended elsewhere
                return
            ended, self.stop_ns = self.stop_ns, stop_ns  # in one step: see `Transaction.__exit__`
            if ended > 0:
                self.stop_ns = ended
                return
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
                if stop_ns > transaction.own_noted_from:
                    if stop_ns - self.start_ns > tracer.slow_ns:
                        note_stack(self, _getframe(1))
                    if count >= tracer.repeats_from:
                        note_repeat(transaction, self, _getframe(1))
                if count & 7 == 7:
                    bound_ended(transaction)
            else:
                merge(transaction, self)
        except Exception as fault:  # noqa: BLE001  # see `contain.py`
            lose(self, fault)
            return
        if tracer.on_span:
            tracer.run_hooks(tracer.on_span, self)

    def note_stack(self) -> None:
        """
        Note the calls that led here, for ``stack``; the core does so at the end of a span longer than ``slow_span_seconds``.

        For the hook ``on_span`` of a plugin, which knows better what is slow, or for one that repeats itself.
        """
        note_stack(self, _getframe(1))

    @property
    def stack(self) -> tuple[Frame, ...]:
        """File, line and function of each call that led to it, innermost first, at most 50; empty if they were not noted."""
        return stack_of(self)

    def stream(self, body: _Body, *, file_wrapper: object = None) -> _Body:
        """
        Let it last until a body has been read to its end or closed: ``response.body = web.stream(response.body)``.

        Spans that start while the body is read belong to it. A web request whose body has a method ``close`` lasts until that is called, as
        WSGI servers do after the last part, too. The tag ``active_time`` is its time without the pauses of the reader.

        Args:
            body: an iterable, one that has only ``__getitem__``, an async iterable, a generator or a file.
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
