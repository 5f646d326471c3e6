"""The ids of a transaction in a trace, which may begin in another service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from scout_core.recording.safety.contain import note_misuse
from scout_core.recording.span import Span
from scout_core.recording.trace.ids import continue_from, trace_id_of, trace_of, transaction_id_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from scout_core.recording.trace.context import TraceContext
    from scout_core.recording.transaction import Transaction


class Traced(Span):
    """A transaction, as a part of a trace."""

    __slots__ = ("own_trace",)

    own_trace: TraceContext  # unset until somebody reads `trace_id`, or `continue_from` has found headers

    @property
    def trace_id(self) -> str:
        """Id of the trace that it is a part of, 32 hexadecimal digits, whether a caller began it or this one; empty before the start."""
        return trace_id_of(cast("Transaction", self))

    @property
    def span_id(self) -> str:
        """Its own id in the trace, 16 hexadecimal digits; empty before it begins."""
        return transaction_id_of(cast("Transaction", self))

    @property
    def parent_span_id(self) -> str:
        """Id of the caller's span, 16 hexadecimal digits; empty where the trace begins."""
        trace = trace_of(cast("Transaction", self))
        return "" if trace is None else trace.parent_id

    def continue_from(self, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> Self:  # Any: str or bytes
        """
        Make it a part of the trace of its caller, if headers name one: ``traceparent`` and ``tracestate``.

        A web request with an ``environ`` or a ``request`` does so by itself. For a job, pass the headers of its message before it begins.
        Once its trace has been asked for, and inside a transaction of another trace, this has no effect, which is counted in
        ``Counters.invalid_values``; nor has it for a web request while ``trust_incoming_trace`` is false.

        Args:
            headers: a mapping, pairs, or a WSGI environ; names and values are ``str`` or ``bytes``, names in any case.
        """
        transaction = cast("Transaction", self)
        has_begun = transaction.start_ns or transaction.id  # hooks run before the start
        if headers is not None and has_begun and (hasattr(self, "own_trace") or not transaction.id):
            note_misuse(
                "continue_from() was called after the trace was known, and has no effect",
                "call it before begin() or the with block",
            )
        continue_from(transaction, headers)
        return self
