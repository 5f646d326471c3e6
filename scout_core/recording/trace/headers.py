"""The headers that make the next service a part of the trace."""

from __future__ import annotations

from scout_core.recording.context import current, innermost_open
from scout_core.recording.safety.contain import lose
from scout_core.recording.trace.context import TRACEPARENT, TRACESTATE, format_traceparent
from scout_core.recording.trace.ids import trace_of, unrecorded_id
from scout_core.text.hosts import is_signed

_get = current.get


def trace_headers(to: str | None = None) -> dict[str, str]:
    """
    Return the headers that a call to another service sends, so that the service continues the trace: ``traceparent``, ``tracestate``.

    They name the innermost open span as the caller. ``traceparent`` has the flag *sampled*, unless the transaction is not recorded, or
    its own caller has not set it.

    Args:
        to: URL of the call. Nothing is returned for a host that ``trace_hosts`` or ``trace_hosts_exclude`` leaves out, and for a URL that
            carries a signature of Amazon Web Services. None: it is known that the call may have them.

    Returns:
        A new dict; empty outside a transaction, and while no agent runs.
    """
    try:
        return _trace_headers(to)
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        span = _get()
        if span is not None:
            lose(span, error)
        return {}


def _trace_headers(to: str | None) -> dict[str, str]:
    span = innermost_open(_get())
    transaction = None if span is None else span.transaction
    if span is None or transaction is None or not transaction.id:  # it has no id while a hook runs
        return {}
    if to is not None:
        hosts = transaction.tracer.trace_hosts
        if is_signed(to) or (hosts is not None and not hosts.includes(to)):
            return {}
    trace = trace_of(transaction)
    if trace is None:
        return {}
    is_recorded = transaction.ignored is None
    span_id = span.span_id if is_recorded else unrecorded_id(transaction)
    headers = {TRACEPARENT: format_traceparent(trace, span_id, is_recorded=is_recorded)}
    if trace.state:
        headers[TRACESTATE] = trace.state
    return headers
