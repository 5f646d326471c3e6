"""Recorded spans and transactions as plain data, which tests can compare."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from scout_core.classes import class_path
from scout_core.hookspecs import hookimpl
from scout_core.measuring.numbers import hex_id
from scout_core.measuring.report import ErrorReport, Report
from scout_core.recording.transaction import Transaction


@frozen
class RecordedSpan:
    """A finished span. Tags are as recorded, before masking."""

    operation: str
    tags: dict[str, Any] = field(factory=dict)
    parent: str | None = None
    """Operation of its parent; None for the transaction itself."""
    error: str | None = None
    """Class of the exception that propagated out of it."""
    duration: float = field(default=0.0, eq=False)
    span_id: str = field(default="", eq=False)
    """Its id in the trace, 16 hexadecimal digits."""


@frozen
class RecordedTransaction(RecordedSpan):
    """A finished transaction."""

    spans: tuple[RecordedSpan, ...] = ()
    """In order of their end."""
    is_error: bool = False
    queue_time: float | None = field(default=None, eq=False)
    message: str | None = None
    """Message of that exception, masked."""
    trace_id: str = field(default="", eq=False)
    """32 hexadecimal digits."""
    parent_span_id: str = field(default="", eq=False)
    """The caller's span; empty where the trace begins."""
    started_by: str = field(default="", eq=False)
    """``span_id`` of the transaction that started this one, which is detached from it; empty: none did."""
    errors: tuple[ErrorReport, ...] = field(default=(), eq=False)
    """The recorded errors: those that made it fail, then those that were handled."""


class RecordingPlugin:
    """The plugin behind ``Scout``: keeps everything that its hooks are called with."""

    def __init__(self) -> None:
        self.transactions: list[RecordedTransaction] = []
        self.ignored: list[tuple[str, str]] = []
        self.reports: list[Report] = []

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        """Keep a transaction."""
        spans = tuple(
            RecordedSpan(
                operation=span.operation,
                tags=dict(span.tags),
                parent=None if span.parent is None else span.parent.operation,
                error=None if span.error is None else class_path(span.error),
                duration=span.duration,
                span_id=span.span_id,
            )
            for span in transaction.spans
        )
        errors = transaction.errors
        self.transactions.append(
            RecordedTransaction(
                operation=transaction.operation,
                tags=dict(transaction.tags),
                error=None if transaction.error is None else class_path(transaction.error),
                duration=transaction.duration,
                span_id=transaction.span_id,
                spans=spans,
                is_error=transaction.is_error,
                queue_time=transaction.queue_time,
                message=errors[0].message if errors and not errors[0].handled else None,
                trace_id=transaction.trace_id,
                parent_span_id=transaction.parent_span_id,
                started_by=hex_id(transaction.started_by) if transaction.started_by else "",
                errors=errors,
            )
        )

    @hookimpl
    def on_ignore(self, transaction: Transaction, reason: str) -> None:
        """Keep an ignored transaction."""
        self.ignored.append((transaction.operation, reason))

    @hookimpl
    def on_report(self, report: Report) -> None:
        """Keep a report."""
        self.reports.append(report)
