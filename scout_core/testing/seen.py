"""What was recorded, as plain data that compares."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from scout_core.hookspecs import hookimpl
from scout_core.measuring.report import Report
from scout_core.recording.transaction import Transaction
from scout_core.sending.traces import class_path


@frozen
class SeenSpan:
    """One finished span. Tags are as they were recorded, before anything is masked."""

    operation: str
    tags: dict[str, Any] = field(factory=dict)
    parent: str | None = None
    """Operation of its parent; None for the transaction itself."""
    error: str | None = None
    """Class of the exception that left it."""
    duration: float = field(default=0.0, eq=False)


@frozen
class SeenTransaction(SeenSpan):
    """One finished transaction."""

    spans: tuple[SeenSpan, ...] = ()
    """In order of their end."""
    is_error: bool = False
    queue_time: float | None = field(default=None, eq=False)
    message: str | None = None
    """Of the exception that left it, masked."""


class Notes:
    """The plugin that notes what happens."""

    def __init__(self) -> None:
        self.seen: list[SeenTransaction] = []
        self.ignored: list[tuple[str, str]] = []
        self.reports: list[Report] = []

    @hookimpl
    def on_request_end(self, transaction: Transaction) -> None:
        """Note a transaction."""
        spans = tuple(
            SeenSpan(
                operation=span.operation,
                tags=dict(span.tags),
                parent=None if span.parent is None else span.parent.operation,
                error=None if span.error is None else class_path(span.error),
                duration=span.duration,
            )
            for span in transaction.spans
        )
        self.seen.append(
            SeenTransaction(
                operation=transaction.operation,
                tags=dict(transaction.tags),
                error=None if transaction.error is None else class_path(transaction.error),
                duration=transaction.duration,
                spans=spans,
                is_error=transaction.is_error,
                queue_time=transaction.queue_time,
                message=None if transaction.raised is None else transaction.raised.message,
            )
        )

    @hookimpl
    def on_ignore(self, transaction: Transaction, reason: str) -> None:
        """Note an ignored one."""
        self.ignored.append((transaction.operation, reason))

    @hookimpl
    def on_report(self, report: Report) -> None:
        """Note a report."""
        self.reports.append(report)
