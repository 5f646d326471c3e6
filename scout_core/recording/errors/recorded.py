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
from scout_core.recording.errors.ignored import is_ignored
from scout_core.recording.errors.raised import Raised, Reading, is_failure, trace_of
from scout_core.recording.naming import type_name
from scout_core.recording.safety.contain import FAILED_WITHOUT_EXCEPTION, lose, note_advice
from scout_core.tracebacks import MAX_FRAMES, steps_of

if TYPE_CHECKING:
    from scout_core.measuring.error_report import ErrorReport
    from scout_core.recording.record import Record
    from scout_core.recording.tracer import Tracer

MOST_ERRORS: Final = 10
"""Errors of one transaction; further ones are counted."""
MOST_COUNTED: Final = 100
"""Further errors that are recognised when they are seen again."""
MOST_UNREAD: Final = 100
"""Errors that wait for the agent's thread at the same time because they keep objects of the application."""


_Key = tuple[int, int]
"""The ``id()`` of an exception, and of its attributes."""


class RecordedError:
    """An error, with everything that its exception refers to."""

    __slots__ = ("handled", "exceptions", "left_out", "attributes", "report")

    def __init__(
        self,
        exceptions: list[Raised],
        left_out: dict[str, int],
        attributes: dict[str, Any] | None = None,
        *,
        handled: bool,
    ) -> None:
        self.exceptions = exceptions
        """The error first; each one after what it is related to."""
        self.left_out = left_out
        self.handled = handled
        """Whether something dealt with it: it did not make the transaction fail."""
        self.attributes = attributes
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

    __slots__ = ("found", "beyond", "_counted")

    def __init__(self) -> None:
        self.found: dict[_Key, RecordedError] = {}
        """In the order in which they were recorded."""
        self.beyond = 0
        """How many more there were."""
        self._counted: dict[_Key, tuple[object, bool]] = {}
        """The last of these, until the transaction has ended: the attributes, and whether it was handled."""

    @classmethod
    def of_reports(cls, reports: tuple[ErrorReport, ...], beyond: int) -> RecordedErrors:
        """Return those that have left the process before."""
        errors = cls()
        errors.beyond = beyond
        for number, report in enumerate(reports):
            recorded = errors.found[number, 0] = RecordedError([], report.left_out, handled=report.handled)
            recorded.report = report
        return errors

    @property
    def listed(self) -> list[RecordedError]:
        """In the order in which they were recorded."""
        return list(self.found.values())

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
        attributes = attributes_of(error)
        key = id(error), id(attributes)
        known = self.found.get(key)
        if known is None:
            if len(self.found) >= MOST_ERRORS and not self._make_room(key, attributes, handled=handled):
                return 0
            reading = Reading(error, trace)
            recorded = RecordedError(reading.raised, reading.left_out, attributes, handled=handled)
            if not reading.is_ours:
                if len(unread) < MOST_UNREAD:
                    unread.append(recorded)
                else:
                    recorded.forget_texts()
            known = self.found.setdefault(key, recorded)
            if known is recorded:
                if len(self.found) <= MOST_ERRORS or self._make_room(key, attributes, handled=handled):
                    return reading.size
                self.found.pop(key, None)  # others have taken the last place
                return 0
        if known.handled and not handled:  # seen before, or recorded by another thread meanwhile
            known.leave(trace)
        return 0

    def ignore(self, error: BaseException, tracer: Tracer) -> None:
        """Count an exception that is not an error, once, however often it is seen."""
        attributes = attributes_of(error)
        key = id(error), id(attributes)
        if key not in self._counted:
            self._note(key, attributes, handled=False)
            tracer.errors_ignored += 1

    def close(self) -> None:
        """Forget which exceptions they were, because the transaction has ended."""
        self._counted = {}
        for recorded in self.listed:
            recorded.attributes = None

    def _make_room(self, key: _Key, attributes: object, *, handled: bool) -> bool:
        """Count one beyond the limit, once; whether it is one that was handled, in whose place this one can be recorded."""
        _, was_handled = self._counted.get(key, (None, None))
        if was_handled is False or (was_handled and handled):
            return False
        if not handled:
            for other, recorded in reversed(list(self.found.items())):
                if recorded.handled and self.found.pop(other, None) is not None:
                    if was_handled is None:
                        self.beyond += 1
                    self._counted.pop(key, None)
                    self._note(other, recorded.attributes, handled=True)
                    return True
        if was_handled is None:
            self.beyond += 1
        self._note(key, attributes, handled=handled)
        return False

    def _note(self, key: _Key, attributes: object, *, handled: bool) -> None:
        if len(self._counted) >= MOST_COUNTED:
            self._counted.pop(next(iter(self._counted)), None)
        self._counted[key] = attributes, handled


def errors_of(transaction: Record) -> RecordedErrors:
    """Return where the errors of a transaction are recorded; of several threads that ask first, all get the same."""
    errors = RecordedErrors()
    transaction.raised = transaction.raised or errors  # CPython switches threads at calls only
    return transaction.raised


def record_error(exception: BaseException, *, handled: bool = True) -> None:
    """
    Record an exception in the open transaction, although it does not leave it; outside a transaction nothing happens.

    Args:
        handled: False: it makes the transaction fail.
    """
    transaction = current_transaction()
    if transaction is not None:
        record_in(transaction, exception, handled=handled)


def leave(
    transaction: Record, kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Let an exception that leaves a transaction make it fail, and record it, unless it is ignored."""
    if is_ignored(transaction, kind, error):
        if error is not None and transaction.ignored is None:
            errors_of(transaction).ignore(error, transaction.tracer)
        return
    transaction.error = kind
    if error is not None and transaction.ignored is None:
        _add(transaction, error, trace, handled=False)


def _add(outer: Record, error: BaseException, trace: TracebackType | None, *, handled: bool) -> None:
    if outer.tracer.records_errors:
        size = errors_of(outer).add(error, trace, outer.tracer.unread, handled=handled)
        outer.size += size  # not in one line with the call, during which other threads add to it


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
        problem = f"record_error() got {type_name(kind)} instead of an exception, which is not recorded"
        note_advice(problem, FAILED_WITHOUT_EXCEPTION)
        transaction._refuse("error", "BaseException", exception)
        return
    if type(handled) is not bool:
        transaction._refuse("handled", "bool", handled)  # type: ignore[unreachable]  # the application may give anything
        handled = handled != 0 if type(handled) is int else True
    try:
        if outer.is_closed:
            outer.tracer.count_late(outer)
        elif is_failure(kind, exception):
            if is_ignored(outer, kind, exception):
                errors_of(outer).ignore(exception, outer.tracer)
                return
            if not handled:
                transaction.error = transaction.error or kind
                outer.error = outer.error or kind
            _add(outer, exception, trace_of(exception), handled=handled)
    except Exception as fault:  # noqa: BLE001  # see `contain.py`
        lose(transaction, fault)
