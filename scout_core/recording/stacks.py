"""
The calls that led to a slow span, noted when it ends: code and lines on the application's thread, texts where they are read.

Holding a code object keeps neither a frame nor a local variable alive.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import TYPE_CHECKING, Final

from scout_core.application_code import AGENT
from scout_core.tracebacks import MAX_FRAMES, Frame, as_frames

if TYPE_CHECKING:
    from scout_core.recording.span import Span

MOST_STACKS: Final = 50
"""Spans of one transaction whose calls are noted; further ones are counted."""
_FRAME_SIZE: Final = 100

Calls = list[tuple[CodeType, int | None]]
"""Code and line of each call, innermost first."""


class Stacks:
    """Those of one transaction."""

    __slots__ = ("found", "beyond")

    def __init__(self) -> None:
        self.found: dict[int, tuple[Span, Calls | tuple[Frame, ...]]] = {}
        """``id()`` of a span to itself, and its calls, innermost first."""
        self.beyond = 0
        """How many further spans were slow."""


def note_stack(span: Span, frame: FrameType | None) -> None:
    """Note the calls around a span, from a frame outwards; nothing of the application runs."""
    transaction = span.transaction
    if transaction is None:
        return
    stacks = stacks_of(transaction)
    if len(stacks.found) >= MOST_STACKS:
        stacks.beyond += 1
        return
    calls: Calls = []
    while frame is not None and len(calls) < MAX_FRAMES:
        calls.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    stacks.found[id(span)] = span, calls
    transaction.size += _FRAME_SIZE * len(calls)


def stacks_of(transaction: Span) -> Stacks:
    """Return those of a transaction, and make them the first time."""
    found: Stacks | None = getattr(transaction, "own_stacks", None)
    if found is None:
        found = transaction.own_stacks = Stacks()  # type: ignore[attr-defined]  # of a transaction
    return found


def stack_of(span: Span) -> tuple[Frame, ...]:
    """Return file, line and function of the calls around a span, innermost first, without the agent's own; empty: not noted."""
    stacks: Stacks | None = getattr(span.transaction, "own_stacks", None)
    noted = None if stacks is None else stacks.found.get(id(span))
    if noted is None or noted[0] is not span:
        return ()
    calls = noted[1]
    if isinstance(calls, tuple):
        return calls
    return as_frames(calls, without=AGENT)
