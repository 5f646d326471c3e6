"""The lines of the application that call operations, of the calls whose lines were noted because they were slow; and their pauses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scout_core.application_code import AGENT, code_of
from scout_core.tracebacks import Frame, as_frames

if TYPE_CHECKING:
    from scout_core.recording.span import Span
    from scout_core.recording.stacks import Stacks
    from scout_core.recording.transaction import Transaction


def lines_of(transaction: Transaction) -> Iterator[tuple[Span, Frame]]:
    """Yield its slow spans, each with file, line and function of the innermost call that is the application's own code."""
    stacks: Stacks | None = getattr(transaction, "own_stacks", None)
    if stacks is None:
        return
    code = code_of(transaction.tracer.config)
    for span, calls in list(stacks.found.values()):
        frames = calls if isinstance(calls, tuple) else as_frames(calls, without=AGENT)
        line = next((frame for frame in frames if code.has(frame[0])), None)
        if line is not None and span in transaction.spans:
            yield span, line


def paused_ns(pauses: dict[int, tuple[Span, int]], span: Span) -> int:
    """Return the nanoseconds in which a span waited for its consumer, which are not its own; 0 where it has not paused."""
    noted = pauses.get(id(span))
    return 0 if noted is None or noted[0] is not span else max(noted[1], 0)
