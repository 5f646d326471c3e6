"""
The ids of the trace on the log records of the application: ``%(trace_id)s``, ``%(span_id)s``, ``%(transaction)s``.

A filter adds them, because it sees a record when its ``extra`` is on it, and on the thread that logs: a name that the application
has put there itself stays. (A factory of records would make ``extra={"trace_id": …}`` raise a ``KeyError``.)
"""

from __future__ import annotations

import logging
from typing import Final

from scout_core.recording.context import current, innermost_open
from scout_core.recording.safety.contain import lose
from scout_core.recording.trace.ids import trace_id_of

_get = current.get
_NOTHING: Final = {"trace_id": "", "span_id": "", "transaction": ""}


class TraceFilter(logging.Filter):
    """
    Adds ``trace_id``, ``span_id`` and ``transaction``, the name, to each record; empty outside a transaction. Keeps every record.

    Put it on handlers: a filter of a logger does not see the records of the loggers below it. With ``dictConfig``:
    ``"filters": {"trace": {"()": "scout_core.log_records.TraceFilter"}}``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the three attributes that the record does not have."""
        attributes = record.__dict__
        for name, value in trace_fields().items():
            if name not in attributes:
                attributes[name] = value
        return True


def trace_fields() -> dict[str, str]:
    """
    Return ``trace_id``, ``span_id`` and ``transaction`` at this moment, for loggers that build their records themselves.

    ``trace_id`` has 32 hexadecimal digits and ``span_id``, of the innermost open span, 16. All are empty outside a transaction, and
    while no agent runs. Nothing is raised.
    """
    span = _get()
    if span is None:
        return dict(_NOTHING)
    try:
        span = innermost_open(span)
        transaction = None if span is None else span.transaction
        if span is None or transaction is None or not transaction.id:  # it has no id while a hook runs
            return dict(_NOTHING)
        return {
            "trace_id": trace_id_of(transaction),
            "span_id": span.span_id,
            "transaction": transaction.own_operation,
        }
    except Exception as error:  # noqa: BLE001  # see `contain.py`
        if span is not None:
            lose(span, error)
        return dict(_NOTHING)


def add_to_handlers(*loggers: logging.Logger) -> None:
    """
    Add the ids to all records that the present handlers get. Call it when logging is configured; calling it again changes nothing.

    Args:
        loggers: whose handlers; without any, those of the root logger and of every logger that exists.
    """
    known = [item for item in logging.root.manager.loggerDict.values() if isinstance(item, logging.Logger)]
    for logger in loggers or (logging.root, *known):
        for handler in logger.handlers:
            if not any(isinstance(existing, TraceFilter) for existing in handler.filters):
                handler.addFilter(TraceFilter())
