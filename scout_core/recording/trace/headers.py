"""The headers that make the next service a part of the trace."""

from __future__ import annotations

from scout_core.recording import context
from scout_core.recording.context import current, innermost_open
from scout_core.recording.safety.contain import lose
from scout_core.recording.trace.context import TRACEPARENT, TRACESTATE, format_traceparent
from scout_core.recording.trace.ids import trace_of, unrecorded_id
from scout_core.text.plain import exact
from scout_core.text.signatures import is_signed

_get = current.get


class UnknownHost(ValueError):
    """The host of a call cannot be read, so it is not known whether it may have the headers."""


def trace_headers(to: str | None = None) -> dict[str, str]:
    """
    Return the headers that a call to another service sends, so that the service continues the trace: ``traceparent``, ``tracestate``.

    They name the innermost open span as the caller. ``traceparent`` has the flag *sampled*, unless the transaction is not recorded, or
    its own caller has not set it.

    Args:
        to: URL of the call. Nothing is returned for a host that ``trace_hosts`` or ``trace_hosts_exclude`` leaves out, and for a URL that
            carries a signature of Amazon Web Services. Empty: it is not known, so only an application that has not chosen hosts
            sends them. A host that cannot be read gets none then, and is counted. None: it is known that the call may have them.

    Returns:
        A new dict; empty outside a transaction, and while no agent runs.
    """
    try:
        return headers_for(to)
    except UnknownHost:
        tracer = context.tracer
        if tracer is not None:
            tracer.headers_unsent += 1
        return {}
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        span = _get()
        if span is not None:
            lose(span, error)
        return {}


def headers_for(to: str | None) -> dict[str, str]:
    """
    Return the same as ``trace_headers``.

    Raises:
        UnknownHost: the host of the call cannot be read.
    """
    span = innermost_open(_get())
    transaction = None if span is None else span.transaction
    if span is None or transaction is None or not transaction.id:  # it has no id while a hook runs
        return {}
    if to is not None:
        url, hosts = exact(to), transaction.tracer.trace_hosts
        if is_signed(url):
            return {}
        is_included = hosts is None or hosts.includes(url)
        if is_included is None:
            raise UnknownHost("the host in the url of its span cannot be read")
        if not is_included:
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
