"""
The trace that a transaction belongs to, and the ids of its spans in it.

Most ids are never read, so they are made when they are first read. Several threads may read one for the first time at
once, and nothing here waits for a lock: so each id is computed from what does not change, and all get the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scout_core.clocks import perf_counter_ns
from scout_core.recording import context
from scout_core.recording.safety.contain import lose, note_misuse
from scout_core.recording.trace.context import RANDOM, SAMPLED, TraceContext, find_headers, read_context
from scout_core.recording.web import is_scope

if TYPE_CHECKING:
    from scout_core.recording.facts import Facts
    from scout_core.recording.transaction import Transaction

_64_BITS: Final = 2**64 - 1
_OURS: Final = SAMPLED | RANDOM
"""The flags where a trace begins."""


def trace_id_of(transaction: Transaction) -> str:
    """Return the id of its trace, 32 hexadecimal digits; empty before it begins."""
    trace = trace_of(transaction)
    return "" if trace is None else trace.trace_id


def trace_of(transaction: Transaction) -> TraceContext | None:
    """Return the trace of a transaction; None before it begins. Inside another transaction it is that one's."""
    if not transaction.id:
        outer = transaction.transaction
        return None if outer is None or outer is transaction else trace_of(outer)
    if hasattr(transaction, "own_trace"):
        return transaction.own_trace
    transaction.own_trace = found = _caller_of(transaction) or _begun_by(transaction)
    return found


def span_id_of(span: Facts) -> str:
    """Return the id of a span in its trace, 16 hexadecimal digits; empty while it is not recorded."""
    if hasattr(span, "own_id"):
        return span.own_id
    transaction = span.transaction
    if transaction is None or not span.start_ns or not transaction.id:
        return ""
    # The address distinguishes it from every other span that is open now, the clock from all before.
    span.own_id = made = _digits(hash((transaction.id, span.start_ns, id(span))))
    return made


def transaction_id_of(transaction: Transaction) -> str:
    """Return the id of a transaction as a span of its trace; empty before it begins."""
    if transaction.has_joined and transaction.transaction is not None:
        transaction = transaction.transaction
    return _digits(transaction.id) if transaction.id else span_id_of(transaction)


def continue_from(transaction: Transaction, headers: object) -> None:
    """
    Make a transaction part of the trace of its caller, if headers name one, and it has not begun or nothing has asked for its trace.

    The application is not interrupted by headers that cannot be read; they are counted as values that are not used.
    """
    if headers is None or ((transaction.id or transaction.start_ns) and hasattr(transaction, "own_trace")):
        return
    try:
        if transaction.is_web and not _is_trusted(transaction):
            return
        found = read_context(*find_headers(headers))
        if found is not None:
            transaction.own_trace = found
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        lose(transaction, error)


def note_other_trace(inner: Transaction, outer: Transaction) -> None:
    """Count a caller's trace that is not used, as the transaction begins inside one of another trace."""
    if inner.own_trace.trace_id != trace_id_of(outer):
        note_misuse(
            "continue_from() was called for a transaction inside another one, whose trace it has",
            "call detach() too, which makes it a transaction of its own",
        )


def join_trace(transaction: Transaction, starter: Facts) -> None:
    """Make a transaction part of the trace of the span that starts it, unless it is a part of a caller's."""
    if hasattr(transaction, "own_trace") or transaction.environ is not None or transaction.own_request is not None:
        return
    try:
        # A transaction that has ended may no longer refer to itself, so that it is freed.
        owner: Any = starter if getattr(starter, "id", 0) else starter.transaction  # Any: a span has no id of this kind
        found = None if owner is None else trace_of(owner)
        if found is not None:
            transaction.own_trace = found._replace(parent_id=starter.span_id)
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        lose(transaction, error)


def keep_only_trace(transaction: Transaction) -> None:
    """Forget the environ of a request that is not recorded, except for its trace: the services that it calls stay in that."""
    environ, transaction.environ = transaction.environ, None
    try:
        headers: Any = (
            environ["headers"] if environ is not None and is_scope(environ) else environ
        )  # Any: of either form
        has_caller = headers is not environ or (environ is not None and "HTTP_TRACEPARENT" in environ)
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        lose(transaction, error)
        return
    if has_caller and _is_trusted(transaction):
        continue_from(transaction, headers)


def _caller_of(transaction: Transaction) -> TraceContext | None:
    request: Any = transaction.request  # Any: what a plugin has set, perhaps without these two
    parent = getattr(request, "traceparent", None)
    if not parent or not _is_trusted(transaction):
        return None
    return read_context(parent, getattr(request, "tracestate", None))


def _is_trusted(transaction: Transaction) -> bool:
    """Whether the caller of a web request may choose its trace: ``trust_incoming_trace``."""
    tracer = getattr(transaction, "tracer", None) or context.tracer  # it has its own once it begins
    return tracer is None or tracer.trusts_callers


def _begun_by(transaction: Transaction) -> TraceContext:
    # 64 random bits, and a hash of them with the time: its bits are random too where sampling has chosen by those of the id.
    started = transaction.started if type(transaction.started) is float else 0
    return TraceContext(_digits(transaction.id) + _digits(hash((transaction.id, started))), "", _OURS, "")


def unrecorded_id(transaction: Transaction) -> str:
    """Return the id of a call that is not recorded, another one each time."""
    return _digits(hash((transaction.id, perf_counter_ns())))


def _digits(number: int) -> str:
    return f"{(number & _64_BITS) or 1:016x}"
