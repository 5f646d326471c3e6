"""
Calls that one line of the application repeats within a transaction: N+1 queries, and the same of any other kind of span.

The statements are compared without their literals, so that queries for different rows are the same call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core.application_code import code_of
from scout_core.measuring.trace_report import SpanRepeat
from scout_core.recording.limits.bounds import LONGEST_NAME
from scout_core.recording.repeats import Repeats
from scout_core.text.tags import clean_tags

if TYPE_CHECKING:
    from scout_core.application_code import ApplicationCode
    from scout_core.recording.span import Span
    from scout_core.recording.stacks import Calls
    from scout_core.recording.tracer import Tracer
    from scout_core.recording.transaction import Transaction

MOST_REPEATS: Final = 20
"""Repeated calls of one transaction that are reported: those that took longest."""
_STATEMENT: Final = "statement"

_Line = tuple[str, int, str]
_NO_LINE: Final[_Line] = ("", 0, "")


def know_application(tracer: Tracer) -> None:
    """Find out which files are the application's, so that only one call of each span is noted from now on; on the agent's thread."""
    tracer.application_code = code_of(tracer.config)
    tracer.wants_application_code = False


def repeats_of(transaction: Transaction) -> tuple[SpanRepeat, ...]:
    """
    Return the repeated calls of a finished transaction, the longest first; on the agent's thread.

    A call counts if no other span is inside it. A line repeats it if it makes ``n_plus_one_calls`` of them that take
    ``n_plus_one_seconds`` together. The lines of the first four of an operation are not noted: they count as that of the fifth.
    """
    repeats: Repeats | None = getattr(transaction, "own_repeats", None)
    if repeats is None:  # no line was noted: its calls were over too soon, as those at the same time
        repeats = transaction.own_repeats = Repeats(transaction)
    if repeats.found is None:
        repeats.found = _find(transaction, repeats)
    return repeats.found


def _find(transaction: Transaction, repeats: Repeats) -> tuple[SpanRepeat, ...]:
    config = transaction.tracer.config
    calls, seconds = config.get("n_plus_one_calls"), config.get("n_plus_one_seconds")
    if not calls:
        return ()
    if not any(count >= calls for count in list(repeats.counts.values())):
        return ()
    code = code_of(config)
    around = {id(span.own_parent) for span in transaction.spans}
    by_operation: dict[str, list[Span]] = {}
    for span in transaction.spans:
        if id(span) not in around:
            by_operation.setdefault(span.own_operation, []).append(span)
    lines = {id(span): line for span, found in repeats.lines if (line := _line_of(found, code)) is not None}
    found = []
    for operation, spans in by_operation.items():
        if _repeats(spans, calls, seconds):  # so that few statements are masked
            found += [
                _repeat(operation, statement, line, group)
                for (statement, line), group in _by_line(spans, lines).items()
                if _repeats(group, calls, seconds)
            ]
    return tuple(sorted(found, key=lambda repeat: -repeat.seconds)[:MOST_REPEATS])


def _repeats(spans: list[Span], calls: int, seconds: float) -> bool:
    return len(spans) >= calls and _seconds(spans) >= seconds


def _seconds(spans: list[Span]) -> float:
    return sum(max(span.stop_ns - span.start_ns, 0) for span in spans) / 1e9


def _by_line(spans: list[Span], lines: dict[int, _Line]) -> dict[tuple[str, _Line], list[Span]]:
    """Return the statement and line of calls to the calls; a call without a line is one of the next call with the same statement."""
    found: dict[tuple[str, _Line], list[Span]] = {}
    waiting: dict[str, list[Span]] = {}
    last: dict[str, _Line] = {}
    for span in spans:
        statement = clean_tags(span.own_tags)[0].get(_STATEMENT)
        text = statement if isinstance(statement, str) else ""
        line = lines.get(id(span)) or last.get(text)
        if line is None:
            waiting.setdefault(text, []).append(span)
        else:
            last[text] = line
            found.setdefault((text, line), []).extend((*waiting.pop(text, ()), span))
    for text, without in waiting.items():
        found[text, _NO_LINE] = without
    return found


def _line_of(calls: Calls, code: ApplicationCode) -> _Line | None:
    """Return file, line and function of the innermost call that is the application's; None: none is."""
    for call, line in calls:
        if code.has(call.co_filename):
            return call.co_filename, line or 0, call.co_name
    return None


def _repeat(operation: str, statement: str, line: _Line, spans: list[Span]) -> SpanRepeat:
    file, number, function = line
    return SpanRepeat(
        operation=operation[:LONGEST_NAME],
        statement=statement,
        count=len(spans),
        seconds=_seconds(spans),
        file=file,
        line=number,
        function=function,
    )
