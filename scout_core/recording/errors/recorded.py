"""
The errors of one transaction: those that left it, and those that were recorded because something handled them.

An exception is recorded once, however often it is seen. It is recognised by its identity, since exceptions need neither be hashable
nor accept weak references. Only its dictionary of attributes is held for that, until the transaction ends: nothing else has the same
one, and holding the exception would keep the local variables of its frames alive.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from scout_core.recording.context import current_transaction
from scout_core.recording.errors.copies import attributes_of
from scout_core.recording.errors.raised import Raised, Reading, is_failure, trace_of
from scout_core.recording.safety.contain import lose
from scout_core.tracebacks import MAX_FRAMES, steps_of

if TYPE_CHECKING:
    from scout_core.measuring.error_report import ErrorReport
    from scout_core.recording.record import Record

MOST_ERRORS: Final = 10
"""Errors of one transaction; further ones are counted."""
MOST_UNREAD: Final = 100
"""Errors that wait for the agent's thread at the same time because they keep objects of the application."""


class RecordedError:
    """An error, with everything that its exception refers to."""

    __slots__ = ("handled", "exceptions", "left_out", "address", "attributes", "report")

    def __init__(self, exceptions: list[Raised], left_out: dict[str, int], *, handled: bool) -> None:
        self.exceptions = exceptions
        """The error first; each one after what it is related to."""
        self.left_out = left_out
        self.handled = handled
        """Whether something dealt with it: it did not make the transaction fail."""
        self.address = 0
        self.attributes: dict[str, Any] | None = None
        """The dictionary of the exception itself; None once the transaction has ended."""
        self.report: ErrorReport | None = None
        """As it leaves the process; None until it is first asked for."""

    def read(self) -> None:
        """Read the texts, which frees what they are made of. On the agent's thread."""
        for raised in self.exceptions:
            _ = raised.message

    def forget_texts(self) -> None:
        """Free what keeps objects of the application; the messages will be missing."""
        for raised in self.exceptions:
            raised.source = None

    def leave(self, trace: TracebackType | None) -> None:
        """Note that nothing handled it in the end; it has come through more frames by then."""
        self.handled = False
        steps = steps_of(trace)
        top = self.exceptions[0]
        if len(top.frames) < len(steps) <= MAX_FRAMES:
            top.frames = [(step.tb_frame.f_code, step.tb_lineno) for step in reversed(steps)]


class RecordedErrors:
    """All errors of one transaction."""

    __slots__ = ("listed", "beyond")

    def __init__(self) -> None:
        self.listed: list[RecordedError] = []
        """In the order in which they were recorded."""
        self.beyond = 0
        """How many more were recorded, or the same one again."""

    @classmethod
    def of_reports(cls, reports: tuple[ErrorReport, ...], beyond: int) -> RecordedErrors:
        """Return those that have left the process before."""
        errors = cls()
        errors.beyond = beyond
        for report in reports:
            recorded = RecordedError([], report.left_out, handled=report.handled)
            recorded.report = report
            errors.listed.append(recorded)
        return errors

    def add(
        self, error: BaseException, trace: TracebackType | None, unread: deque[RecordedError], *, handled: bool
    ) -> int:
        """
        Record an exception on the application's thread, unless it has been recorded. Runs no code of the exception.

        Args:
            unread: those that the agent's thread still has to read; it is added to them if it keeps objects of the application.

        Returns:
            The bytes that are held for it, about.
        """
        address, attributes = id(error), attributes_of(error)
        for known in self.listed:
            if known.attributes is attributes and known.address == address:
                if known.handled and not handled:
                    known.leave(trace)
                return 0
        if len(self.listed) >= MOST_ERRORS and not self._make_room(handled=handled):
            return 0
        reading = Reading(error, trace)
        recorded = RecordedError(reading.raised, reading.left_out, handled=handled)
        recorded.address, recorded.attributes = address, attributes
        if not reading.is_ours:
            if len(unread) < MOST_UNREAD:
                unread.append(recorded)
            else:
                recorded.forget_texts()
        self.listed.append(recorded)
        return reading.size

    def close(self) -> None:
        """Forget which exceptions they were, because the transaction has ended."""
        for recorded in self.listed:
            recorded.attributes = None

    def _make_room(self, *, handled: bool) -> bool:
        """Count one beyond the limit; whether this is one that was handled, in whose place another one can be recorded."""
        self.beyond += 1
        if not handled:
            for recorded in reversed(self.listed):
                if recorded.handled:
                    self.listed.remove(recorded)
                    return True
        return False


def record_error(exception: BaseException, *, handled: bool = True) -> None:
    """
    Record an exception in the open transaction, although it does not leave it; outside a transaction nothing happens.

    Args:
        handled: False: it makes the transaction fail.
    """
    transaction = current_transaction()
    if transaction is not None:
        record_in(transaction, exception, handled=handled)


def is_exception(kind: type) -> bool:
    """Whether objects of a class can be recorded: the application may give anything."""
    return issubclass(kind, BaseException)


def record_in(transaction: Record, exception: BaseException, *, handled: bool) -> None:
    """
    Record an exception in a transaction, or in the one that it is a span of.

    A cancellation and the like are not errors, and are not recorded. Once the transaction has ended, it is only counted, as late.
    """
    outer = transaction.transaction
    if outer is None:
        return
    kind = type(exception)
    if not is_exception(kind):
        transaction._refuse("error", "BaseException", exception)
        return
    try:
        if outer.is_closed:
            outer.tracer.count_late(outer)
        elif is_failure(kind, exception):
            if outer.raised is None:
                outer.raised = RecordedErrors()
            outer.size += outer.raised.add(exception, trace_of(exception), outer.tracer.unread, handled=handled)
            if not handled:
                transaction.error = transaction.error or kind
                outer.error = outer.error or kind
    except Exception as fault:  # noqa: BLE001  # see `contain.py`
        lose(transaction, fault)
