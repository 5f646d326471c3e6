"""The innermost open span of this thread or task, and the tracer that records.

These two are the only module-level state. asyncio tasks and copied contexts inherit the variable, so parallel children
have the right parent; a new thread starts without one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

current: ContextVar[Span | None] = ContextVar("scout_core_span", default=None)
"""The innermost open span; None outside a transaction."""

tracer: Tracer | None = None
"""The tracer of this process; None while no agent runs."""


def current_transaction() -> Transaction | None:
    """The open transaction of this thread or task; None outside a transaction, and once it has ended."""
    span = current.get()
    while span is not None and span.transaction is not None:
        transaction = span.transaction
        if transaction.tracer.silent is not transaction:
            return None if transaction.is_finished or transaction.ignored is not None else transaction
        span = span.parent  # a hook asks
    return None
