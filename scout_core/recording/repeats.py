"""
The lines that repeat a call: a query in a loop is an N+1, and the line of the loop is what its developer changes.

On the application's thread: from the fifth span of one operation in a transaction that takes long enough, the code object and line of
the innermost function of the application around each span. Everything else is found on the agent's thread; see ``repeated.py``.
Holding a code object keeps neither a frame nor a local variable alive.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

    from scout_core.application_code import ApplicationCode
    from scout_core.measuring.trace_report import SpanRepeat
    from scout_core.recording.span import Span
    from scout_core.recording.stacks import Calls
    from scout_core.recording.transaction import Transaction

FIRST_NOTED: Final = 5
"""The number of the first span of an operation whose line is noted."""
EARLY: Final = 0.2
"""Share of ``n_plus_one_seconds`` that a transaction must have lasted: calls that take longer are not over before."""
_MOST_CALLS: Final = 200
"""Calls around a span in which a function of the application is looked for."""
_SIZE: Final = 150
"""Bytes of a noted line, about."""


class Repeats:
    """Those of one transaction."""

    __slots__ = ("counts", "lines", "found")

    def __init__(self, transaction: Transaction, found: tuple[SpanRepeat, ...] | None = None) -> None:
        self.counts: dict[str, int] = Counter([span.own_operation for span in transaction.spans])
        """Operation to its spans that have ended."""
        self.lines: list[tuple[Span, Calls]] = []
        """Spans in the order of their ends, each with the line: one call, or all while it is unknown which are the application's."""
        self.found = found
        """The repeated calls; None: nobody has looked for them."""


def repeats_noted_after(seconds: float) -> int:
    """Return the nanoseconds after the start of a transaction from which lines are noted, for ``n_plus_one_seconds``."""
    return round(seconds * EARLY * 1e9)


def note_repeat(transaction: Transaction, span: Span, frame: FrameType | None) -> None:
    """Count a span that has ended, and note where it comes from if its operation repeats itself; nothing of the application runs."""
    repeats = getattr(transaction, "own_repeats", None)
    if repeats is None:
        repeats = transaction.own_repeats = Repeats(transaction)
        count = repeats.counts[span.own_operation]
    else:
        count = repeats.counts[span.own_operation] = repeats.counts.get(span.own_operation, 0) + 1
    if count >= FIRST_NOTED:
        tracer = transaction.tracer
        if tracer.application_code is None:
            tracer.wants_application_code = True
        calls = _calls_of_the_application(tracer.application_code, frame)
        if calls:
            repeats.lines.append((span, calls))
            transaction.size += _SIZE * len(calls)


def _calls_of_the_application(code: ApplicationCode | None, frame: FrameType | None) -> Calls:
    """Return the innermost one; all while the agent's thread has not found out which files are the application's."""
    found: Calls = []
    for _ in range(_MOST_CALLS):
        if frame is None:
            break
        if code is None:
            found.append((frame.f_code, frame.f_lineno))
        elif code.has(frame.f_code.co_filename):
            return [(frame.f_code, frame.f_lineno)]
        frame = frame.f_back
    return found
